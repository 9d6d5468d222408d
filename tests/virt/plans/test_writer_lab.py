"""A real Linux writes blocks with their checksums all the time, while things go wrong below it; then all are looked at.

Each block is followed by its number and its SHA-256, both flushed: at most the one under way may be torn, and none that
was flushed may be missing. It is read from outside, of the image as QEMU left it.
"""

import hashlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_target import create_target
from broker.backups.models import Backup
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.models import Snapshot, TemplateVersion
from tests.jobs_help import finish
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_create_lab import _in_guest
from tests.virt.plans.test_create_lab import real as real
from tests.virt.plans.test_disks_lab import well
from tests.virt.plans.test_make_lab import wait_for_agent
from tests.virt.test_disk_trouble import inside
from tests.virt.test_disk_trouble import small as small

pytestmark = pytest.mark.lab
BLOCK, SLOTS = 64 << 10, 32
WRITER = """cat >/tmp/writer <<'E'
n=$1
while :; do
  n=$((n+1)); s=$((n %% 32 * 2))
  dd if=/dev/urandom of=/tmp/b bs=64k count=1
  dd if=/tmp/b of=/dev/vdb bs=64k seek=$s conv=notrunc,fsync
  (echo "$n $(sha256sum </tmp/b)"; cat /tmp/b) | head -c 65536 >/tmp/c
  dd if=/tmp/c of=/dev/vdb bs=64k seek=$((s+1)) conv=notrunc,fsync
  echo $n >/tmp/n
done
E
setsid sh /tmp/writer %s </dev/null >/dev/null 2>&1 &
"""


def flushed(real, vm) -> int:
    """The number of the last block that is on the disk by the guest's word."""
    return int(_in_guest(real, vm, "cat /tmp/n 2>/dev/null || echo 0").output.split()[0])


def goes_on(real, vm) -> int:
    while not (begun := flushed(real, vm)):
        pass  # it has not begun yet
    while (now := flushed(real, vm)) < begun + SLOTS:
        pass
    return now


def all_there(lab_host, vm, least: int) -> None:
    """Of a machine whose QEMU is gone: every block is what its checksum says, but one, and `least` is among them."""
    raw = Path(vm.disks.get(target="vdb").path).with_suffix(".raw-look")
    inside(lab_host, "qemu-img", "convert", "-O", "raw", vm.disks.get(target="vdb").path, str(raw))
    data = Path(f"/proc/{lab_host.init_pid}/root{raw}").read_bytes()
    inside(lab_host, "rm", str(raw))
    numbers, torn = [], 0
    for slot in range(SLOTS):
        block = data[slot * 2 * BLOCK : (slot * 2 + 1) * BLOCK]
        number, digest = data[(slot * 2 + 1) * BLOCK :][:200].split()[:2]
        numbers.append(int(number))
        torn += hashlib.sha256(block).hexdigest().encode() != digest
    assert torn <= 1 and max(numbers) >= least and min(numbers) > max(numbers) - SLOTS - 1


def test_what_a_guest_flushed_is_there_whatever_goes_wrong(real, lab_host, small, tiny_image, settings, monkeypatch):
    """Rows F06, F16 and F24: a full storage while a snapshot is taken, QEMU killed while it merges and is backed up."""
    place, seen = small
    inside(lab_host, "mount", "-o", "remount,size=192M", str(place))
    shutil.copy(tiny_image, Path(settings.DATA_DIR) / "import" / "tiny.qcow2")
    job = import_template_version(
        actor=SYSTEM, template=real.template, storage=real.storage, source="tiny.qcow2", memory_mib=128
    )
    version = TemplateVersion.objects.get(pk=done(job).subject_id)
    storage = create_storage(actor=SYSTEM, cluster=real.world.cluster, name="small", path=str(place))
    job = create_vm(actor=SYSTEM, name="writer", version=version, storage=storage, linked=False)
    vm = fresh(done(job).subject_id)
    well(create_disk(actor=SYSTEM, vm=vm, size_bytes=16 << 20))
    target = create_target(
        actor=SYSTEM, cluster=real.world.cluster, name="nas", path=f"{real.disks}-nas", host=real.world.host
    )
    well(start_vm(actor=SYSTEM, vm=fresh(vm)))
    wait_for_agent(real.line, str(vm.pk))
    _in_guest(real, vm, WRITER % 0)
    goes_on(real, vm)

    files = {path.name for path in seen.iterdir()}
    room = shutil.disk_usage(seen).free - (12 << 20)
    (seen / "filler").write_bytes(b"\1" * room)
    job = finish(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="full", memory=True))
    assert job.state == "failed" and job.fix, job.cause
    (seen / "filler").unlink()
    assert {path.name for path in seen.iterdir()} == files and not Snapshot.objects.exists()
    goes_on(real, vm)

    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    least = goes_on(real, vm)
    _struck(monkeypatch, real, lab_host, vm, "merge_layer")
    job = finish(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(name="one")))
    assert job.state == "succeeded", f"{job.cause} {job.fix}"
    assert {path.name for path in seen.iterdir()} == files
    all_there(lab_host, vm, least)

    well(start_vm(actor=SYSTEM, vm=fresh(vm)))
    wait_for_agent(real.line, str(vm.pk))
    _in_guest(real, vm, WRITER % 100000)
    least = goes_on(real, vm)
    _struck(monkeypatch, real, lab_host, vm, "look_at_backup")
    job = finish(back_up(actor=SYSTEM, vm=fresh(vm), target=target))
    # What was copied to its end before QEMU died is a backup.
    assert (job.state, Backup.objects.count()) in (("failed", 0), ("succeeded", 1)), job.cause
    assert {path.name for path in seen.iterdir()} == files
    all_there(lab_host, vm, least)


def _struck(monkeypatch, real, lab_host, vm, verb: str) -> None:
    """QEMU is killed once, in the middle of what the verb looks after."""
    driver, killed = type(real.line), []
    plain = getattr(driver, verb)

    def strike(self, uuid, *given, **named):
        answer = plain(self, uuid, *given, **named)
        if not killed:
            killed.append(lab_host.qemu_pid(str(vm.pk)))
            os.kill(killed[0], signal.SIGKILL)
        return answer

    monkeypatch.setattr(driver, verb, strike)
