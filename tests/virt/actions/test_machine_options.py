"""The hardware of a machine: what may be chosen, what goes together, and what a driver is told of it."""

import pytest

from broker.core.errors import Invalid
from broker.virt import machine_options, specs
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.driver import Hardware
from broker.virt.models import VirtualMachine
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
    ],
)
def test_what_does_not_go_together_is_refused(options, field):
    with pytest.raises(Invalid) as refusal:
        machine_options.ensure_fits(options=options, vcpus=2, memory_mib=512, machine="pc")
    assert refusal.value.field == field


def test_the_driver_knows_every_option():
    assert set(Hardware.__dataclass_fields__) == set(machine_options.KNOWN)


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
