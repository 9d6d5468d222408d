"""A real machine goes and its disks stay: libvirt does not know it any more, and another one starts from its disk."""

import subprocess

import libvirt
import pytest

from broker.core.errors import Conflict
from broker.virt.actions.attach_disk import attach_disk
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.move_disks import move_disks
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.models import FloatingDisk
from tests.virt.actions.stage import SYSTEM, done, fresh
from tests.virt.plans.test_disks_lab import well
from tests.virt.plans.test_lab import lab_up, real  # noqa: F401 - a fixture

pytestmark = pytest.mark.lab


def test_a_machine_goes_and_its_disks_stay(real, lab_host):  # noqa: F811
    vm = real.make("kept", start=True)  # a linked clone
    lab_up(real, vm)
    well(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=1 << 20))
    with pytest.raises(Conflict):
        delete_vm(actor=SYSTEM, vm=fresh(vm), keep_disks=True)
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    well(move_disks(actor=SYSTEM, vm=fresh(vm), storage=real.storage, disks=[vm.disks.get(target="vda")]))
    disk = vm.disks.get(target="vda")
    assert "backing file" not in subprocess.check_output(["qemu-img", "info", "-f", "qcow2", disk.path], text=True)
    files = {one.volume for one in vm.disks.all()}
    done(delete_vm(actor=SYSTEM, vm=fresh(vm), keep_disks=True))
    host = libvirt.open(lab_host.uri)
    try:
        assert str(vm.pk) not in {domain.UUIDString() for domain in host.listAllDomains()}
    finally:
        host.close()
    assert real.files() == files == set(FloatingDisk.objects.values_list("volume", flat=True))
    subprocess.run(["qemu-img", "check", "-q", "-f", "qcow2", disk.path], check=True)
    other = real.make("taker")
    well(attach_disk(actor=SYSTEM, disk=FloatingDisk.objects.get(pk=disk.pk), vm=other))
    assert real.line.chain(str(other.pk), "vdb") == (disk.path,)
    done(delete_vm(actor=SYSTEM, vm=fresh(other)))
    assert disk.volume not in real.files()
