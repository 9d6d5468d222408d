"""Images on LUNs, with a real target and QEMU: made from a template, grown, backed up, cloned, and moved while off."""

import subprocess
import uuid
from pathlib import Path

import pytest

from broker.virt.driver import DiskSpec, MachineSpec, NoSpace, PowerState, VolumeInfo
from tests.lab import guest
from tests.lab.fixtures import wait_for_power
from tests.virt.iscsi.wait import until

pytestmark = pytest.mark.lab
MIB = 1 << 20


@pytest.mark.parametrize("site", [(16, 24, 24, 20)], indirect=True, ids=["luns"])
def test_the_life_of_an_image_on_luns(site, tmp_path):
    here, there, _, luns, files, _ = site
    for line in (here, there):
        line.ensure_storage(luns)
        line.ensure_storage(files)
    image = tmp_path / "guest.raw"
    guest.write_image(image)
    raw = VolumeInfo(name=image.name, path=str(image), format="raw", capacity=MIB, allocation=0)
    template = here.copy_volume(files, "template.qcow2", source=raw)
    overlay = here.create_volume(files, "overlay.qcow2", backing=template)

    heard: list[float] = []
    wish = VolumeInfo(overlay.name, overlay.path, "qcow2", 8 * MIB, overlay.allocation, overlay.backing)
    made = here.copy_volume(luns, "web.qcow2", source=wish, progress=heard.append)
    assert (made.capacity, made.backing) == (8 * MIB, "") and heard[-1] == 1.0 and heard == sorted(heard)
    assert here.copy_volume(luns, "web.qcow2", source=wish) == made
    far = there.copy_volume(luns, "far.qcow2", source=VolumeInfo(
        overlay.name, overlay.path, "qcow2", MIB, overlay.allocation, overlay.backing,
    ))  # fmt: skip
    assert (far.capacity, {one.name for one in here.volumes(files)}) == (MIB, {"template.qcow2", "overlay.qcow2"})
    assert here.checksum(luns, "far.qcow2") == there.checksum(luns, "far.qcow2")
    there.delete_volume(luns, "far.qcow2")

    machine = MachineSpec(
        uuid=str(uuid.uuid4()), name="web", vcpus=1, memory_mib=32, mark="web",
        disks=(DiskSpec(path=made.path, format="qcow2", target="vda"),),
    )  # fmt: skip
    here.define(machine)
    for _ in range(2):  # a job that comes back may ask twice
        here.grow_disk(machine.uuid, "vda", luns, "web.qcow2", 10 * MIB)  # while it is off
    assert here.checksum(luns, "web.qcow2") and here.volume(luns, "web.qcow2").capacity == 10 * MIB
    with pytest.raises(NoSpace, match=r"LUN 4 of .* has 20 MiB"):
        here.grow_disk(machine.uuid, "vda", luns, "web.qcow2", 32 * MIB)
    _boot(here, machine.uuid)
    with pytest.raises(NoSpace, match=r"LUN 4 of .* has 20 MiB"):
        here.grow_disk(machine.uuid, "vda", luns, "web.qcow2", 32 * MIB)
    here.grow_disk(machine.uuid, "vda", luns, "web.qcow2", 12 * MIB)
    assert here.volume(luns, "web.qcow2").capacity == 12 * MIB

    full = here.create_volume(files, "full.qcow2", capacity=12 * MIB)
    here.begin_backup(machine.uuid, {"vda": full.path}, checkpoint="c1")
    until(lambda: not here.look_at_backup(machine.uuid).running)
    assert (here.look_at_backup(machine.uuid).error, here.checkpoints(machine.uuid)) == ("", ("c1",))
    more = here.create_volume(files, "more.qcow2", capacity=12 * MIB, backing=full)
    here.begin_backup(machine.uuid, {"vda": more.path}, checkpoint="c2", since="c1")
    until(lambda: not here.look_at_backup(machine.uuid).running)
    assert here.look_at_backup(machine.uuid).error == ""
    _shut_down(here, machine.uuid)

    clone = here.copy_volume(luns, "clone.qcow2", source=here.volume(luns, "web.qcow2"))
    assert clone.capacity == 12 * MIB
    back = here.copy_volume(files, "back.qcow2", source=clone)
    got = tmp_path / "got.qcow2"
    here.fetch_volume(luns, "web.qcow2", got)
    words = ["qemu-img", "check", "-q", "-f", "qcow2"]
    for path in (got, back.path):
        subprocess.run([*words, str(path)], check=True)
    subprocess.run(["qemu-img", "compare", "-q", str(got), back.path], check=True)
    assert here.head_of_volume(luns, "web.qcow2", 4) == b"QFI\xfb"
    assert guest.counters(got).boots == 1

    here.define(MachineSpec(**{**_fields(machine), "disks": (DiskSpec(back.path, "qcow2", "vda"),)}))
    _boot(here, machine.uuid)
    _shut_down(here, machine.uuid)
    assert guest.counters(Path(back.path)).boots == 2
    for name in ("web.qcow2", "clone.qcow2"):
        here.delete_volume(luns, name)
    assert here.volumes(luns) == ()


def _boot(line, key) -> None:
    line.start(key)
    wait_for_power(line, key, PowerState.RUNNING)
    with line.serial(key) as serial:
        data = b""
        while b"LAB-UP" not in data:
            data += serial.read(5.0)


def _shut_down(line, key) -> None:
    """The guest writes its counters and goes."""
    line.shutdown(key, via="acpi")
    wait_for_power(line, key, PowerState.OFF)


def _fields(spec: MachineSpec) -> dict[str, object]:
    return {name: getattr(spec, name) for name in MachineSpec.__slots__}
