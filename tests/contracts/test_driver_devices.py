"""What every hypervisor driver must say of its host's devices, and do with them."""

import pytest

from broker.virt.driver import UNFIT, DeviceSpec, PowerState, Refused
from tests.contracts.test_driver_disks import booted

NOWHERE = DeviceSpec("usb", "", "dead", "beef")


def test_the_host_lists_what_it_has(host):
    devices = host.host_devices()
    keys = [one.spec.key for one in devices]
    assert keys == sorted(set(keys)) and all(one.unfit in ("", *UNFIT) for one in devices)
    assert all(one.group is not None for one in devices if one.spec.kind == "pci" and not one.unfit)


def test_a_run_is_given_only_what_there_is(host, machine):
    for verb in (host.attach_device, host.detach_device):
        with pytest.raises(Refused):
            verb(machine, NOWHERE)
    booted(host, machine)
    assert host.detach_device(machine, NOWHERE)
    for device in (NOWHERE, DeviceSpec("pci", "0000:7f:1f.7")):
        with pytest.raises(Refused):
            host.attach_device(machine, device)
    assert host.observe_one(machine).power is PowerState.RUNNING


def test_one_that_is_free_comes_and_goes(host, machine):
    """Where the host has one: a laboratory's seldom does."""
    booted(host, machine)
    for device in (one.spec for one in host.host_devices() if one.spec.kind == "usb" and not one.unfit):
        for _ in range(2):
            host.attach_device(machine, device)
        host.detach_device(machine, device)
    assert host.observe_one(machine).power is PowerState.RUNNING
