"""Devices of hosts given to machines: seen by the monitor, pinned, fought over, plugged while a machine runs."""

import json

import pytest
from django.test import Client

from broker.access.require import visible_to
from broker.core.errors import Conflict, Denied, Missing, NoCapacity
from broker.virt import pending, queries
from broker.virt.actions.act_on_machines import act_on_machines
from broker.virt.actions.attach_device import attach_device
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.detach_device import detach_device
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.actions.undo_changes import undo_changes
from broker.virt.driver import UNFIT as FOUND
from broker.virt.drivers.simulated.changing import run_of
from broker.virt.host_devices import UNFIT
from broker.virt.models import Batch, DeviceUse, Host, HostDevice, VirtualMachine
from broker.virt.monitor.devices import look
from broker.virt.placement.gather import request_of
from portal.models import ApiToken
from tests.jobs_help import run_all
from tests.portal.api.conftest import Caller
from tests.virt.actions.stage import SYSTEM, done, ended, fresh

CARD, DISKS, KEY = "pci-0000:01:00.0", "pci-0000:00:17.0", "usb-096e:0858"


@pytest.fixture
def devices(stage):
    """What the monitor wrote of the host's devices, by key."""
    look(stage.world.host, stage.line)
    return {row.key: row for row in HostDevice.objects.all()}


def given(stage, vm):
    return [one["address"] or one["product"] for one in json.loads(stage.line.definition(str(vm.pk)))["devices"]]


def live(stage, vm):
    with stage.sim.changing() as data:
        return sorted(run_of(data["machines"][str(vm.pk)])["devices"])


def test_the_monitor_writes_what_differs_and_tells_of_what_machines_lose(stage, devices, django_assert_num_queries):
    host = stage.world.host
    assert devices[CARD].group == devices["pci-0000:01:00.1"].group == 7 and not devices[CARD].unfit
    assert devices[DISKS].unfit == "disk" and set(UNFIT) == set(FOUND)
    with django_assert_num_queries(1):
        look(host, stage.line)
    vm = stage.make()
    attach_device(actor=SYSTEM, vm=vm, device=devices[KEY])
    with stage.sim.changing() as data:
        data["pulled_out"] = [KEY, "pci-0000:01:00.1"]
    look(host, stage.line)
    assert not HostDevice.objects.filter(key="pci-0000:01:00.1").exists()
    assert not HostDevice.objects.get(key=KEY).present
    with pytest.raises(Conflict) as refusal:
        start_vm(actor=SYSTEM, vm=fresh(vm))
    assert refusal.value.rule == "device.present"
    with stage.sim.changing() as data:
        data["pulled_out"] = []
    look(host, stage.line)
    assert HostDevice.objects.get(key=KEY).present
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))


def test_one_that_is_off_has_it_with_its_next_start_and_stays_on_that_host(stage, devices):
    vm = stage.make()
    attach_device(actor=SYSTEM, vm=vm, device=devices[CARD])
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert given(stage, vm) == ["0000:01:00.0"] and live(stage, vm) == [CARD]
    assert request_of(queries.whole_machine(vm.pk)).devices_on == stage.world.host.pk
    other = Host.objects.create(
        cluster=stage.world.cluster, name="host-2", driver="simulated", uri="sim://other", cpus=8,
        memory_bytes=64 << 30, memory_free_bytes=64 << 30, graphics=["vnc"], observed_at=fresh(vm).observed_at,
    )  # fmt: skip
    with pytest.raises(NoCapacity) as refusal:
        migrate_vm(actor=SYSTEM, vm=fresh(vm), host=other)
    assert "devices" in {reason.rule for reason in refusal.value.reasons}
    with pytest.raises(Conflict) as held:
        take_snapshot(actor=SYSTEM, vm=fresh(vm), name="all", memory=True)
    assert held.value.rule == "device.memory"
    there = HostDevice.objects.create(host=other, key="usb-1111:2222", kind="usb")
    with pytest.raises(Conflict) as elsewhere:
        attach_device(actor=SYSTEM, vm=fresh(vm), device=there)
    assert elsewhere.value.rule == "device.host"
    done(delete_vm(actor=SYSTEM, vm=fresh(vm)))
    assert not DeviceUse.objects.exists() and HostDevice.objects.filter(key=CARD).exists()


def test_usb_is_plugged_in_while_it_runs_and_pci_waits(stage, devices):
    vm = stage.make(start=True)
    attach_device(actor=SYSTEM, vm=fresh(vm), device=devices[KEY])
    run_all()
    assert live(stage, vm) == [KEY] and given(stage, vm) == ["0858"] and pending.of(vm) is None
    attach_device(actor=SYSTEM, vm=fresh(vm), device=devices[CARD])
    run_all()
    (line,) = pending.differences(vm, pending.of(vm))
    assert (line.kind, line.now, line.then) == ("devices", None, {}) and "start" in str(line.reason)
    assert live(stage, vm) == [KEY]
    detach_device(actor=SYSTEM, use=vm.devices.get(device__key=KEY))
    run_all()
    assert live(stage, vm) == []
    done(power_off_vm(actor=SYSTEM, vm=fresh(vm)))
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))
    assert live(stage, vm) == [CARD] and vm.devices.get().plugged
    with stage.sim.changing() as data:
        data["machines"][str(vm.pk)]["deaf"] = True
    detach_device(actor=SYSTEM, use=vm.devices.get())
    run_all()
    assert live(stage, vm) == [CARD] and "does not let the device" in str(pending.of(vm).reasons)
    assert undo_changes(actor=SYSTEM, vm=fresh(vm)) and vm.devices.get().plugged


def test_two_machines_want_one_device(stage, devices):
    one, two = stage.make("one"), stage.make("two")
    for vm in (one, two):
        attach_device(actor=SYSTEM, vm=vm, device=devices[KEY])
    done(start_vm(actor=SYSTEM, vm=fresh(one)))
    with pytest.raises(Conflict) as refusal:
        start_vm(actor=SYSTEM, vm=fresh(two))
    assert refusal.value.rule == "device.free" and "one runs and has" in refusal.value.message
    done(power_off_vm(actor=SYSTEM, vm=fresh(one)))
    starts = [start_vm(actor=SYSTEM, vm=fresh(two))]
    with pytest.raises(Conflict):
        start_vm(actor=SYSTEM, vm=fresh(one))  # the other one is about to run
    done(starts[0])
    three = stage.make("three", start=True)
    with pytest.raises(Conflict):
        attach_device(actor=SYSTEM, vm=fresh(three), device=devices[KEY])


def test_behind_everybodys_back_the_host_still_says_no(stage, devices):
    """The definition of another machine names it, too: that one is not Berth's to stop."""
    one, two = stage.make("one"), stage.make("two")
    attach_device(actor=SYSTEM, vm=one, device=devices[KEY])
    done(start_vm(actor=SYSTEM, vm=fresh(one)))
    spec = {"kind": "usb", "address": "", "vendor": "096e", "product": "0858"}
    DeviceUse.objects.create(vm=two, device=devices[KEY])
    DeviceUse.objects.filter(vm=one).delete()
    job = ended(start_vm(actor=SYSTEM, vm=fresh(two)))
    assert job.state == "failed" and "another machine has it" in job.cause and spec["product"] in job.cause


@pytest.mark.parametrize("unfit", [*FOUND, "gone"])
def test_what_the_host_needs_or_does_not_have_is_refused_with_what_helps(stage, devices, unfit):
    vm, row = stage.make(), devices[KEY]
    HostDevice.objects.filter(pk=row.pk).update(**({"present": False} if unfit == "gone" else {"unfit": unfit}))
    with pytest.raises(Conflict) as refusal:
        attach_device(actor=SYSTEM, vm=vm, device=row)
    assert refusal.value.rule in ("device.fit", "device.present") and refusal.value.fix
    assert not DeviceUse.objects.exists()


def test_row_s21_only_who_may_use_devices_gives_them(stage, devices):
    """Row S21: passthrough by somebody who is no administrator, though the machine is theirs."""
    world, vm = stage.world, stage.make()
    world.grant(world.alice, "vm-manager", vm)
    with pytest.raises(Missing):
        attach_device(actor=world.actor("alice"), vm=vm, device=devices[KEY])
    world.grant(world.alice, "auditor")
    with pytest.raises(Denied):
        attach_device(actor=world.actor("alice"), vm=vm, device=devices[KEY])
    world.grant(world.bob, "operator", world.cluster)
    with pytest.raises((Denied, Missing)):
        attach_device(actor=world.actor("bob"), vm=vm, device=devices[KEY])
    assert not DeviceUse.objects.exists()
    world.grant(world.alice, "host-admin", world.host)
    assert visible_to(world.actor("alice"), HostDevice, "device.use").count() == 4
    assert attach_device(actor=world.actor("alice"), vm=vm, device=devices[KEY]).plugged


def test_memory_is_not_kept_on_disk_with_a_device_whoever_asks(stage, devices):
    """By the action, the API, the page and for several machines at once."""
    vm, other = stage.make("with", start=True), stage.make("without", start=True)
    attach_device(actor=SYSTEM, vm=vm, device=devices[KEY])
    run_all()
    with pytest.raises(Conflict) as refusal:
        suspend_vm(actor=SYSTEM, vm=fresh(vm))
    assert (refusal.value.rule, bool(refusal.value.fix)) == ("device.memory", True)
    caller = Caller(ApiToken.objects.create(user=stage.world.root, name="test")[1])
    told = caller.post(f"vms/{vm.pk}/suspend/")
    assert told.status_code == 409 and told.json()["rule"] == "device.memory"
    browser = Client()
    browser.force_login(stage.world.root)
    told = browser.post(f"/vms/{vm.pk}/power/suspend", HTTP_ACCEPT="text/html")
    assert told.status_code == 409 and b"cannot be kept with them" in told.content
    job = done(act_on_machines(actor=stage.world.actor("root"), verb="suspend", machines=[vm.pk, other.pk]))
    results = Batch.objects.get(pk=job.subject_id).results
    assert (results[str(vm.pk)]["state"], results[str(other.pk)]["state"]) == ("refused", "done")
    VirtualMachine.objects.filter(pk=other.pk).update(outside=["hostdev"], power_state="running")
    with pytest.raises(Conflict):
        suspend_vm(actor=SYSTEM, vm=fresh(other))
