"""A guest of 512 bytes for tests that need a machine which runs, not an operating system.

It boots in half a second even when emulated and needs 16 MiB of memory. What it does (source: `guest.S`):

- writes LAB-UP to the screen and the first serial port when it runs, LAB-OFF when it powers itself off;
- echoes what is typed, on the keyboard or the serial port, to both;
- powers off at the ACPI power button, but only once LAB-UP was written (as with real guests, a button
  pressed while the firmware runs is lost);
- keeps little-endian counters in sector 1 of its disk: boots of this disk, and clock ticks (18.2 a second) of this
  boot, written about once a second and at power off;
- beside them keeps a log in a ring of 1024 sectors: each entry has its number and a sum, so that a write that was
  lost, torn or made by a second copy shows (`entries`);
- fills some of its memory, once or all the time, where a move has to take long or must never end;
- with a `period` of 0 counts no ticks and looks up once a second only: a machine then costs a fifth of the processor
  time while it idles, which is much when a hundred run.
"""

import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

SECTOR_SIZE = 512
_OPTIONS_OFFSET = 0x1FB
_LOG, _RING = 2, 1024  # where the log begins, and how many sectors it has

_CODE = bytes.fromhex(
    "ea057c0000fa31c08ed88ec08ed0bc007c88168c7dba0206b80001effbb442e8"
    "2b0166ff06007e66c706047e00000000e8d400be797de82001803efd7d00751e"
    "e4210c01e621e4a124fee6a1b00be670e4710c1088c4b00be67088e0e671fbf4"
    "ba0006edf6c4010f858900bafd03eca8017407baf803ece8e900b401cd167407"
    "30e4cd16e8dc00a06c043a068d7d74cea28d7d66ff06047e803efc7d007403e8"
    "6500a0fd7d84c074b5fe0e8e7d75afa28e7d66ff06087e66a1087e6689c16603"
    "0e007e66030e047e66f7d166890e0c7e6625ff0300006683c00266a3987db443"
    "e86a0066c706987d01000000b443e85c00e96affb443e85400be827de85a00ba"
    "0406b80020eff4660fb60efb7d66c1e1087465fa0f0116b07d0f20c00c010f22"
    "c0bb08008ee324fe0f22c066a1047e0c0166bf0000100064676689076681c700"
    "100000664975f031db8ee3fbc330c08a168c7dbe907dcd13c3ac84c0741ae802"
    "00ebf6b40ebb0700cd1050bafd03eca82074fb58baf803eec34c41422d55500d"
    "0a004c41422d4f46460d0a000000019010000100007e00000100000000000000"
    "0000000000000000ffff000000928f000f00a07d00000000"
)


class Counters(NamedTuple):
    """What the guest left on its disk."""

    boots: int
    ticks: int


def sector(*, period: int = 18, memory: int = 0, busily: bool = False) -> bytes:
    """The boot sector. `period`: clock ticks (55 ms) between two writes of the counters; 0 = no ticks, one write.

    `memory`: MiB it fills when it starts; without them it moves in no time. `busily`: it fills them anew at every tick.
    """
    options = {"period": period, "memory": memory}
    if bad := [name for name, value in options.items() if not 0 <= value <= 255]:
        raise ValueError(f"{bad[0]} {options[bad[0]]} is not in 0..255")
    return _CODE.ljust(_OPTIONS_OFFSET, b"\0") + bytes([memory, busily, period]) + b"\x55\xaa"


def write_image(path: Path, *, size: int = 1 << 20, image_format: str = "raw", **options: int) -> Path:
    """Write a bootable disk of `size` bytes, "raw" or "qcow2", to `path`; `options` as of `sector`."""
    raw = path if image_format == "raw" else path.with_suffix(".raw-part")
    with raw.open("wb") as file:
        file.write(sector(**options))
        file.truncate(size)
    if image_format != "raw":
        subprocess.run(
            ["qemu-img", "convert", "-f", "raw", "-O", image_format, str(raw), str(path)],
            check=True,
            capture_output=True,
        )
        raw.unlink()
    return path


def counters(path: Path, *, image_format: str = "qcow2") -> Counters:
    """Read the counters from a disk no guest runs on."""
    return Counters(*struct.unpack_from("<II", _sectors(path, image_format, 2), SECTOR_SIZE))


def entries(path: Path, *, image_format: str = "qcow2") -> int:
    """How many entries the log of a disk has, which nobody may be writing; AssertionError unless all are well."""
    data = _sectors(path, image_format, _LOG + _RING)
    newest = struct.unpack_from("<III", data, SECTOR_SIZE)[2]
    for number in range(max(newest - _RING + 2, 1), newest + 1):  # one more may have been written than is counted
        boots, ticks, found, total = struct.unpack_from("<IIII", data, (_LOG + number % _RING) * SECTOR_SIZE)
        assert found == number, f"entry {number} of {newest} was lost: there is {found}"
        assert total == ~(boots + ticks + found) & 0xFFFFFFFF, f"entry {number} is damaged"
    return newest


def _sectors(path: Path, image_format: str, count: int) -> bytes:
    command = ["qemu-img", "dd", "-f", image_format, "-O", "raw", f"bs={SECTOR_SIZE}", f"count={count}"]
    target = path.with_suffix(".sectors")
    subprocess.run([*command, f"if={path}", f"of={target}"], check=True, capture_output=True)
    try:
        return target.read_bytes()
    finally:
        target.unlink()
