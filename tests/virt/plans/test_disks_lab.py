"""Disks and snapshots on real QEMU while the guest counts on its disk; what is so is asked of qemu-img and libvirt."""

import json
import subprocess
from pathlib import Path

import libvirt
import pytest

from broker.jobs.models import Job
from broker.virt import exports
from broker.virt.actions.adopt_file import adopt_file
from broker.virt.actions.attach_disk import attach_disk
from broker.virt.actions.attach_shared_disk import attach_shared_disk
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.delete_template_version import delete_template_version
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.actions.export_disk import export_disk
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.limit_disk import limit_disk
from broker.virt.actions.make_template_version import make_template_version
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.preview_snapshot import preview_snapshot
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.share_disk import share_disk
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.actions.undo_preview import undo_preview
from broker.virt.driver import DiskLimits
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from broker.virt.models import Disk, FloatingDisk, Snapshot, TemplateVersion
from tests.jobs_help import finish
from tests.lab import guest
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_lab import boots, lab_up, real  # noqa: F401 - a fixture

pytestmark = pytest.mark.lab


def chain(path):
    """The files from the top down, as qemu-img reads them."""
    asked = ["qemu-img", "info", "-U", "-f", "qcow2", "--backing-chain", "--output=json", str(path)]
    told = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    return [Path(image["filename"]).name for image in told]


def well(job):
    """Do this job to its end, waiting as it asks to."""
    finish(job)
    assert job.state == "succeeded", f"{job.plan} {job.state}: {job.cause} {job.fix}"


def test_a_machine_with_memory_goes_back_and_its_snapshots_are_merged(real, lab_host):  # noqa: F811
    vm = real.make("snap", start=True)
    lab_up(real, vm)
    first = vm.disks.get().volume
    well(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=1 << 20))
    extra = vm.disks.get(target="vdb")
    well(grow_disk(actor=SYSTEM, disk=extra, size_bytes=3 << 20))
    assert real.line.chain(str(vm.pk), "vdb") == (extra.path or f"{real.disks}/{extra.volume}",)
    well(limit_disk(actor=SYSTEM, disk=extra, limits=DiskLimits(read_bytes=1 << 20, total_iops=50)))
    domain = libvirt.open(lab_host.uri).lookupByUUIDString(str(vm.pk))
    told = domain.blockIoTune("vdb")
    assert (told["read_bytes_sec"], told["total_iops_sec"], told["write_bytes_sec"]) == (1 << 20, 50, 0)
    assert "<read_bytes_sec>1048576</read_bytes_sec>" in real.line.definition(str(vm.pk))
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="kept", memory=True))
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="later"))
    disk = vm.disks.get(target="vda")
    assert chain(disk.path)[2] == first
    assert real.line.observe_one(str(vm.pk)).power == "running"
    well(revert_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(name="kept")))
    lab_up(real, vm)  # it answers where it was, without a boot
    disk.refresh_from_db()
    assert chain(disk.path)[:2] == [disk.volume, first]
    for name in ("later", "kept"):
        well(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(name=name)))
    lab_up(real, vm)
    disk.refresh_from_db()
    assert disk.volume == first
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert chain(disk.path)[0] == first
    assert real.files() == {first, vm.disks.get(target="vdb").volume}
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", disk.path], check=True)
    extra.refresh_from_db()
    well(detach_disk(actor=SYSTEM, disk=extra))  # off: this guest lets nothing go while it runs
    assert extra.volume in real.files() and extra.volume not in real.line.definition(str(vm.pk))
    FloatingDisk.objects.all().delete()  # as if Berth had never known of it
    well(adopt_file(actor=SYSTEM, storage=real.storage, file=extra.volume, name="found"))
    loose = FloatingDisk.objects.get(name="found")
    assert loose.size_bytes == 3 << 20
    well(attach_disk(actor=SYSTEM, disk=loose, vm=fresh(vm)))
    assert real.line.chain(str(vm.pk), "vdb") == (f"{real.disks}/{extra.volume}",)
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert real.files() == set()


def test_what_was_written_since_is_dropped_and_what_was_written_before_is_kept(real):  # noqa: F811
    """Off, without memory: the guest's own count of its boots goes back with the disk."""
    vm = real.make("count", start=True)
    lab_up(real, vm)
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    counted = boots(vm).boots
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    one = Snapshot.objects.get(name="one")
    well(revert_snapshot(actor=SYSTEM, snapshot=one, start=True))
    lab_up(real, vm)
    # Copied as it was, while it runs on the next boot.
    copy = fresh(done(clone_vm(actor=SYSTEM, vm=fresh(vm), snapshot=one, name="copy")).subject_id)
    job = make_template_version(actor=SYSTEM, vm=fresh(vm), snapshot=one, seal=False)
    version = TemplateVersion.objects.get(pk=done(job).args["version"])
    assert real.line.observe_one(str(vm.pk)).power == "running"
    for image in (copy.disks.get().path, real.disks / version.volume):
        assert len(chain(image)) == 1
        assert guest.counters(Path(image)).boots == counted
    job = export_disk(actor=SYSTEM, disk=vm.disks.get(), snapshot=one)
    well(job)
    path = exports.path_of(job.args["export"])
    assert len(chain(path)) == 1 and guest.counters(path).boots == counted
    done(delete_vm(actor=SYSTEM, vm=copy))
    done(delete_template_version(actor=SYSTEM, version=version))
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert boots(vm).boots == counted + 1
    well(revert_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(name="one")))
    assert boots(vm).boots == counted
    well(preview_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(name="one"), start=True))
    lab_up(real, vm)
    well(undo_preview(actor=SYSTEM, vm=fresh(vm)))
    assert boots(vm).boots == counted
    well(delete_snapshot(actor=SYSTEM, snapshot=Snapshot.objects.get(name="one")))  # held while it is merged
    assert real.line.observe_one(str(vm.pk)).power == "off"
    assert boots(vm).boots == counted
    assert len(real.files()) == 1


def test_two_running_guests_have_one_disk_and_what_is_on_it_is_never_taken_for_more_than_bytes(real, lab_host):  # noqa: F811
    """Row S27: a guest writes the header of a qcow2 image, which names a file of the host, onto its raw disk."""
    one, two = (real.make(name, start=True) for name in ("both-1", "both-2"))
    well(create_disk(actor=SYSTEM, vm=real.make("maker"), size_bytes=4 << 20))
    extra = Disk.objects.get(target="vdb")
    well(detach_disk(actor=SYSTEM, disk=extra))
    plain = real.disks / extra.volume
    subprocess.run(["qemu-io", "-f", "qcow2", "-c", "write -P 0x42 1M 4k", str(plain)], check=True, capture_output=True)
    well(share_disk(actor=SYSTEM, disk=FloatingDisk.objects.get(pk=extra.pk)))
    shared = FloatingDisk.objects.get(pk=extra.pk)
    image = real.disks / shared.volume
    assert not plain.exists() and image.read_bytes()[1 << 20 : (1 << 20) + 4096] == b"\x42" * 4096
    for vm, fixed in ((one, False), (two, True)):
        lab_up(real, vm)
        attach_shared_disk(actor=SYSTEM, disk=shared, vm=fresh(vm), read_only=fixed)
        well(Job.objects.get(subject_id=vm.pk, plan="vm.change"))
    for vm, fixed in ((one, False), (two, True)):
        asked = libvirt.open(lab_host.uri).lookupByUUIDString(str(vm.pk)).XMLDesc()
        disk = next(disk for disk in Machine.parse(asked).disks if disk.target == "vdb")
        assert (disk.path, disk.format, disk.shareable, disk.readonly) == (str(image), "raw", True, fixed)
        assert real.line.observe_one(str(vm.pk)).power == "running"
    well(take_snapshot(actor=SYSTEM, vm=fresh(one), name="own"))
    assert real.line.chain(str(one.pk), "vdb") == (str(image),)
    evil = real.disks.parent / "evil.qcow2"
    asked = ["qemu-img", "create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/passwd", str(evil), "4M"]
    subprocess.run(asked, check=True)
    with image.open("r+b") as written:
        written.write(evil.read_bytes()[:65536])
    for vm in (one, two):
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(start_vm(actor=SYSTEM, vm=fresh(vm)))
        lab_up(real, vm)
        assert real.line.chain(str(vm.pk), "vdb") == (str(image),)
        done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
        done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
        assert image.exists()
    job = share_disk(actor=SYSTEM, disk=FloatingDisk.objects.get(pk=extra.pk), shared=False)
    finish(job)
    assert job.state == "failed" and "look like another kind of image" in job.cause
    assert [path.name for path in real.disks.glob(f"{extra.pk}.*")] == [image.name]
    well(delete_floating_disk(actor=SYSTEM, disk=FloatingDisk.objects.get(pk=extra.pk)))
    assert not image.exists()
