"""The hardware of a machine: what may be chosen, what goes together, and what a driver is told of it."""

import pytest
from django.test import Client
from django.urls import reverse

from broker.core.errors import Conflict, Invalid
from broker.virt import machine_options, specs
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_disk import delete_disk
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import Hardware
from broker.virt.models import Host, VirtualMachine
from tests.virt.actions.stage import SYSTEM, done, fresh


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"firmware": "coreboot"}, "firmware"),
        ({"tpm": 1}, "tpm"),
        ({"sockets": 0}, "sockets"),
        ({"cores": True}, "cores"),
        ({"balloon_mib": -1}, "balloon_mib"),
        ({"cpu": "x'/><y"}, "cpu"),
        ({"cpu": ""}, "cpu"),
        ({"video": "virtio\n"}, "video"),
        ({"boot": ["disk"]}, "boot"),
        ({"cpu_pinning": "0-1"}, "cpu_pinning"),
        ({"cpu_pinning": 1}, "cpu_pinning"),
        ({"cpu_pinning": "0#" + "1," * 2000 + "1"}, "cpu_pinning"),
        ({"emulator_cpus": "0#1"}, "emulator_cpus"),
        ({"hugepages_kib": 3000}, "hugepages_kib"),
        ({"numa_nodes": 17}, "numa_nodes"),
        ({"numa_mode": "restrictive"}, "numa_mode"),
        ({"numa_host_nodes": "0;1"}, "numa_host_nodes"),
        ({"hugepages_kib": -2048}, "hugepages_kib"),
        ({"qemu_arguments": "-snapshot"}, "qemu_arguments"),
        (["firmware"], "options"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(given, field):
    with pytest.raises(Invalid) as refusal:
        machine_options.changed({}, given)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_vcpus": 1}, "max_vcpus"),
        ({"max_memory_mib": 256}, "max_memory_mib"),
        ({"max_vcpus": 4, "cores": 2}, "sockets"),
        ({"cores": 3}, "sockets"),
        ({"balloon_mib": 513}, "balloon_mib"),
        ({"firmware": "secure"}, "firmware"),
        ({"cpu_pinning": "0#0_2#1"}, "cpu_pinning"),
        ({"hugepages_kib": 1048576}, "hugepages_kib"),
        ({"numa_nodes": 3}, "numa_nodes"),
        ({"numa_nodes": 2, "hugepages_kib": 524288}, "numa_nodes"),
        ({"numa_mode": "strict"}, "numa_host_nodes"),
        ({"numa_host_nodes": "0"}, "numa_mode"),
        ({"numa_mode": "preferred", "numa_host_nodes": "0-1"}, "numa_host_nodes"),
        ({"hugepages_kib": 2048, "balloon_mib": 256}, "balloon_mib"),
        ({"cpu_pinning": "4#0", "max_vcpus": 4}, "cpu_pinning"),
    ],
)
def test_what_does_not_go_together_is_refused(options, field):
    with pytest.raises(Invalid) as refusal:
        machine_options.ensure_fits(options=options, vcpus=2, memory_mib=512, machine="pc")
    assert refusal.value.field == field


def test_the_driver_knows_every_option():
    assert set(Hardware.__dataclass_fields__) == set(machine_options.KNOWN) - set(machine_options.OF_DISKS)


def test_what_was_chosen_stays_until_it_is_chosen_anew(stage):
    vm = stage.make(vcpus=2, options={"cores": 2, "tpm": True})
    assert specs.machine_spec(vm).hardware == Hardware(cores=2, tpm=True)
    edit_vm(actor=SYSTEM, vm=vm, options={"tpm": False})
    assert fresh(vm).options == {"cores": 2, "tpm": False}
    with pytest.raises(Invalid) as refusal:
        edit_vm(actor=SYSTEM, vm=fresh(vm), vcpus=3)
    assert refusal.value.field == "sockets"
    edit_vm(actor=SYSTEM, vm=fresh(vm), vcpus=3, options={"cores": 3})
    assert fresh(vm).vcpus == 3
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    edit_vm(actor=SYSTEM, vm=fresh(vm), options={"firmware": "uefi"})
    assert fresh(vm).options == {"cores": 3, "tpm": False} and fresh(vm).pending.values == {"firmware": "uefi"}


def test_a_refused_machine_is_not_made(stage):
    with pytest.raises(Invalid):
        create_vm(actor=SYSTEM, name="no", version=stage.world.version, vcpus=2, options={"cores": 3})
    assert not VirtualMachine.objects.filter(name="no").exists()


def test_screens_are_chosen_when_it_is_made_and_while_it_is_off(stage):
    Host.objects.update(graphics=["vnc", "spice"])
    vm = stage.make(graphics=["spice", "vnc"])
    assert specs.machine_spec(vm).graphics == ("vnc", "spice")
    edit_vm(actor=SYSTEM, vm=vm, graphics=["spice"])
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert [one.kind for one in stage.line.observe_one(str(vm.pk)).consoles] == ["spice"]
    edit_vm(actor=SYSTEM, vm=fresh(vm), graphics=["spice"])
    with pytest.raises(Conflict):
        edit_vm(actor=SYSTEM, vm=fresh(vm), graphics=["vnc"])
    for wrong in ([], ["rdp"], "vnc"):
        with pytest.raises(Invalid) as refusal:
            edit_vm(actor=SYSTEM, vm=fresh(vm), graphics=wrong)
        assert refusal.value.field == "graphics"


def test_the_form_of_a_new_machine_has_all_of_its_hardware(stage):
    """What is left empty is as usual; what is chosen goes with the machine from the first definition on."""
    browser = Client()
    browser.force_login(stage.world.root)
    plain = {"name": "plain", "version": stage.world.version.pk}
    assert browser.post(reverse("portal:vm-new"), plain).status_code == 302
    chosen = {
        "name": "chosen", "version": stage.world.version.pk, "vcpus": 4, "firmware": "uefi", "tpm": "yes", "rng": "no",
        "cores": 2, "sockets": 2, "graphics": "vnc,spice", "boot": "cdrom-disk", "max_memory_mib": 4096,
    }  # fmt: skip
    assert browser.post(reverse("portal:vm-new"), chosen).status_code == 302
    assert VirtualMachine.objects.get(name="plain").options == {}
    vm = VirtualMachine.objects.get(name="chosen")
    assert vm.graphics == ["vnc", "spice"] and vm.options == {
        "firmware": "uefi", "tpm": True, "rng": False, "cores": 2, "sockets": 2, "threads": 1, "boot": "cdrom-disk",
        "max_memory_mib": 4096,
    }  # fmt: skip
    refused = browser.post(reverse("portal:vm-new"), chosen | {"name": "third", "cores": 3})
    assert refused.status_code == 400 and b"are not 4 processors" in refused.content
    page = browser.get(reverse("portal:vm-hardware", args=[vm.pk])).content.decode()
    assert '<option value="vnc,spice" selected>' in page


def test_disks_of_another_bus(stage):
    vm = stage.make(options={"disk_bus": "sata"}, start=True)
    assert [disk.bus for disk in specs.machine_spec(vm).disks] == ["sata"]
    for ask in (
        lambda: create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=1 << 20),
        lambda: delete_disk(actor=SYSTEM, disk=fresh(vm).disks.get()),
    ):
        with pytest.raises(Conflict) as refusal:
            ask()
        assert refusal.value.rule == "disk.bus" and "Shut it down" in refusal.value.fix
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(create_disk(actor=SYSTEM, vm=fresh(vm), size_bytes=1 << 20))
    assert [disk.bus for disk in specs.machine_spec(fresh(vm)).disks] == ["sata", "sata"]


def test_a_new_machines_card_is_of_a_known_model(stage):
    network = stage.world.network
    job = done(create_vm(actor=SYSTEM, name="web", version=stage.world.version, network=network, card="e1000e"))
    assert VirtualMachine.objects.get(pk=job.subject_id).nics.get().model == "e1000e"
    with pytest.raises(Invalid):
        create_vm(actor=SYSTEM, name="no", version=stage.world.version, network=network, card="ne2000")
