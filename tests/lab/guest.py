"""A guest of 512 bytes for tests that need a machine which runs, not an operating system.

It boots in half a second even when emulated and needs 16 MiB of memory. What it does (source: `guest.S`):

- writes LAB-UP to the screen and the first serial port when it runs, LAB-OFF when it powers itself off;
- echoes what is typed, on the keyboard or the serial port, to both;
- powers off at the ACPI power button, but only once LAB-UP was written (as with real guests, a button
  pressed while the firmware runs is lost);
- keeps two little-endian counters in sector 1 of its disk: boots of this disk, and clock ticks (18.2 a
  second) of this boot, written about once a second and at power off;
- with a `period` of 0 counts no ticks and looks up once a second only: a machine then costs a fifth of the processor
  time while it idles, which is much when a hundred run.
"""

import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

SECTOR_SIZE = 512
_PERIOD_OFFSET = 0x1FD

_CODE = bytes.fromhex(
    "ea057c0000fa31c08ed88ec08ed0bc007c8816fc7cba0206b80001effbb442e8"
    "9b0066ff06007e66c706047e00000000bee97ce89300803efd7d00751ee4210c"
    "01e621e4a124fee6a1b00be670e4710c1088c4b00be67088e0e671fbf4ba0006"
    "edf6c4017544bafd03eca8017407baf803ece85e00b401cd16740730e4cd16e8"
    "5100a06c043a06fd7c74d0a2fd7c66ff06047ea0fd7d84c074c1fe0efe7c75bb"
    "a2fe7cb443e81500ebb1b443e80e00bef27ce81400ba0406b80020eff430c08a"
    "16fc7cbe007dcd13c3ac84c0741ae80200ebf6b40ebb0700cd1050bafd03eca8"
    "2074fb58baf803eec34c41422d55500d0a004c41422d4f46460d0a0000000190"
    "10000100007e00000100"
)


class Counters(NamedTuple):
    """What the guest left on its disk."""

    boots: int
    ticks: int


def sector(*, period: int = 18) -> bytes:
    """The boot sector. `period`: clock ticks (55 ms) between two writes of the counters; 0 = no ticks, one write."""
    if not 0 <= period <= 255:
        raise ValueError(f"period {period} is not in 0..255")
    return _CODE.ljust(_PERIOD_OFFSET, b"\0") + bytes([period]) + b"\x55\xaa"


def write_image(path: Path, *, size: int = 1 << 20, period: int = 18, image_format: str = "raw") -> Path:
    """Write a bootable disk of `size` bytes, "raw" or "qcow2", to `path` and return the path."""
    raw = path if image_format == "raw" else path.with_suffix(".raw-part")
    with raw.open("wb") as file:
        file.write(sector(period=period))
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
    command = ["qemu-img", "dd", "-f", image_format, "-O", "raw", f"bs={SECTOR_SIZE}", "count=2"]
    target = path.with_suffix(".counters")
    subprocess.run([*command, f"if={path}", f"of={target}"], check=True, capture_output=True)
    try:
        return Counters(*struct.unpack_from("<II", target.read_bytes(), SECTOR_SIZE))
    finally:
        target.unlink()
