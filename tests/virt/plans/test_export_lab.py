"""A machine with two disks leaves as an OVA and comes back: the tar is read by tar, its sums by sha256sum, the disks
by qemu-img."""

import subprocess

import pytest

from broker.virt import exports
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_export import delete_export
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.delete_image import delete_image
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.export_vm import export_vm
from broker.virt.actions.finish_image import finish_image
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.models import DiskExport, FloatingDisk, Snapshot
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_create_lab import real, uploaded  # noqa: F401 - a fixture
from tests.virt.plans.test_disks_lab import well
from tests.virt.plans.test_lab import lab_up

pytestmark = pytest.mark.lab


def told(*command, **more):
    return subprocess.run(command, check=True, capture_output=True, text=True, **more).stdout


def test_a_machine_with_two_disks_leaves_and_comes_back_the_same(real, tmp_path):  # noqa: F811
    vm = real.make("leaver", start=True)
    lab_up(real, vm)
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    well(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=5 << 20))
    first, second = vm.disks.all()
    told("qemu-io", "-f", "qcow2", "-c", "write -q -P 7 3M 1M", real.disks / second.volume)
    before = real.files()
    job = export_vm(actor=SYSTEM, vm=fresh(vm))
    well(job)
    assert real.files() == before
    path = exports.path_of(job.args["export"])
    assert told("tar", "tf", path).split() == [
        "leaver.ovf", "leaver.mf", "leaver-disk1.vmdk", "leaver-disk2.vmdk",
    ]  # fmt: skip
    told("tar", "xf", path, "-C", tmp_path)
    told("sha256sum", "-c", "-", cwd=tmp_path, input=_as_sums((tmp_path / "leaver.mf").read_text()))
    for number, disk in enumerate((first, second), 1):
        vmdk = tmp_path / f"leaver-disk{number}.vmdk"
        told("qemu-img", "compare", "-f", "qcow2", "-F", "vmdk", real.disks / disk.volume, vmdk)
    _comes_back(real, path, vm, (first, second))
    _of_a_snapshot_while_it_runs(real, vm)
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))


def _as_sums(manifest: str) -> str:
    """As sha256sum reads them."""
    pairs = [line.removeprefix("SHA256(").split(")= ") for line in manifest.splitlines()]
    assert len(pairs) == 3
    return "".join(f"{digest}  {name}\n" for name, digest in pairs)


def _comes_back(real, path, vm, disks) -> None:  # noqa: F811
    image = uploaded(real, path.read_bytes(), name="back")
    done(finish_image(actor=SYSTEM, image=image))
    image.refresh_from_db()
    assert image.format == "ova" and image.proposal == {
        "vcpus": vm.vcpus, "memory_mib": vm.memory_mib, "cards": vm.nics.count(), "disks": 2,
    }  # fmt: skip
    other = FloatingDisk.objects.get()
    for disk, volume in zip(disks, (image.volume, other.volume), strict=True):
        pair = [real.disks / disk.volume, real.disks / volume]
        told("qemu-img", "compare", "-s", "-f", "qcow2", "-F", "qcow2", *pair)
    done(delete_floating_disk(actor=SYSTEM, disk=other))
    done(delete_image(actor=SYSTEM, image=image))


def _of_a_snapshot_while_it_runs(real, vm) -> None:  # noqa: F811
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    lab_up(real, vm)
    job = export_vm(actor=SYSTEM, vm=fresh(vm), snapshot=Snapshot.objects.get())
    well(job)
    assert real.line.observe_one(str(vm.pk)).power == "running"
    path = exports.path_of(job.args["export"])
    for number, frozen in enumerate(Snapshot.objects.get().disks.order_by("disk__order"), 1):
        (path.parent / "disk.vmdk").write_bytes(
            subprocess.run(
                ["tar", "xOf", path, f"leaver-one-disk{number}.vmdk"], check=True, capture_output=True
            ).stdout
        )  # fmt: skip
        pair = [real.disks / frozen.volume, path.parent / "disk.vmdk"]
        told("qemu-img", "compare", "-U", "-f", "qcow2", "-F", "vmdk", *pair)
    (path.parent / "disk.vmdk").unlink()
    for export in DiskExport.objects.all():
        delete_export(actor=SYSTEM, export=export)
