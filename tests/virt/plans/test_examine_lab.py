"""The chain doctor on real images, broken with qemu-img and virsh's own means."""

import hashlib
import subprocess
from pathlib import Path

import libvirt
import pytest

from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.take_snapshot import take_snapshot
from tests.jobs_help import finish
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_disks_lab import well
from tests.virt.plans.test_lab import lab_up, real  # noqa: F401 - a fixture

pytestmark = pytest.mark.lab


def look(vm, **wish):
    job = finish(examine_disks(actor=SYSTEM, vm=fresh(vm), **wish))
    assert job.state == "succeeded", f"{job.cause} {job.fix}"
    return [one["kind"] for one in job.args["findings"]], [one["kind"] for one in job.args.get("mended", [])]


def contents(path) -> str:
    """A digest of what the guest reads on the disk, all of its images together."""
    raw = Path(f"{path}.raw")
    subprocess.run(["qemu-img", "convert", "-f", "qcow2", "-O", "raw", path, str(raw)], check=True)
    digest = hashlib.sha256(raw.read_bytes()).hexdigest()
    raw.unlink()
    return digest


def test_broken_chains_are_explained_and_what_is_safe_is_mended(real, lab_host):  # noqa: F811
    vm = real.make("sick", start=True)
    lab_up(real, vm)
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="one"))
    assert look(vm) == ([], [])  # it runs
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    assert look(vm) == ([], [])
    disk = vm.disks.get()
    before = contents(disk.path)
    connection = libvirt.open(lab_host.uri)
    domain = connection.lookupByUUIDString(str(vm.pk))
    connection.defineXML(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE).replace(disk.volume, disk.below))
    assert look(vm) == (["definition"], [])
    assert look(vm, mend=True) == ([], ["definition"])
    assert disk.volume in domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    assert contents(disk.path) == before
    left = real.disks / f"{disk.pk}.9.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(left), "1M"], check=True)
    below = real.disks / disk.below
    moved = real.disks / "away.qcow2"
    below.rename(moved)
    assert sorted(look(vm, mend=True)[0]) == ["left-over", "missing"]
    moved.rename(below)
    left.unlink()
    base = real.disks / real.version.volume
    rebase = ["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b"]
    subprocess.run([*rebase, str(base), disk.path], check=True)
    assert look(vm, mend=True) == (["backing"], [])
    subprocess.run([*rebase, str(below), disk.path], check=True)
    assert look(vm) == ([], [])
    assert contents(disk.path) == before
    domain.snapshotCreateXML("<domainsnapshot><name>theirs</name></domainsnapshot>")  # inside the image
    job = finish(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="two"))
    assert (job.state, job.error["rule"]) == ("failed", "snapshot.foreign")
    domain.snapshotLookupByName("theirs").delete()
    well(take_snapshot(actor=SYSTEM, vm=fresh(vm), name="two"))
    connection.close()
