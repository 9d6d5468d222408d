"""PCs are added, changed and removed; as machines they do what they can, and refuse the rest by name."""

import pytest

from broker.access.models import Grant
from broker.backups.actions.back_up import back_up
from broker.core.errors import Busy, Conflict, Denied, Invalid, Missing
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_nic import create_nic
from broker.virt.actions.create_physical_machine import create_physical_machine
from broker.virt.actions.delete_physical_machine import delete_physical_machine
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_physical_machine import edit_physical_machine
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.examine_disks import examine_disks
from broker.virt.actions.migrate_vm import migrate_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.reboot_vm import reboot_vm
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.models import PhysicalMachine, VirtualMachine
from broker.virt.physical import observe, secret

pytestmark = pytest.mark.django_db


def make(world, **values) -> PhysicalMachine:
    wanted = {"name": "pc-1", "address": "10.1.2.3", "vnc_port": 5900, "vnc_password": "berth", **values}
    return create_physical_machine(actor=world.actor("root"), cluster=world.cluster, **wanted)


def is_on(pc: PhysicalMachine, *, ports=(5900,)) -> VirtualMachine:
    observe.write(pc, observe.Seen("10.1.2.3", tuple(ports), there=True))
    return VirtualMachine.objects.get(pk=pc.pk)


def is_off(pc: PhysicalMachine) -> VirtualMachine:
    for _ in range(observe.MISSES):
        observe.write(pc, observe.Seen("10.1.2.3"))
    return VirtualMachine.objects.get(pk=pc.pk)


def test_it_is_a_machine_and_its_password_is_nowhere(world):
    pc = make(world, tags=["lab"], mac="52:54:00:aa:bb:01")
    vm = VirtualMachine.objects.get(name="pc-1")
    assert (vm.pk, vm.state, vm.power_state, vm.is_physical, vm.host) == (pc.pk, "ready", "unknown", True, None)
    stored = PhysicalMachine.objects.get()
    assert "berth" not in stored.vnc_secret and secret.opened(stored) == "berth"
    assert [tag.name for tag in vm.tags.all()] == ["lab"]
    event = Event.objects.get(kind="vm.physical.created")
    assert "berth" not in str(event.params)


def test_only_who_manages_hosts_adds_changes_and_removes(world):
    pc = make(world)
    world.grant(world.alice, "vm-manager", pc.vm)
    for who, refusal in (("alice", Missing), ("charlie", Missing)):
        actor = world.actor(who)
        with pytest.raises((refusal, Denied)):
            create_physical_machine(actor=actor, cluster=world.cluster, name="x", address="10.0.0.1", vnc_port=5900)
        with pytest.raises((refusal, Denied)):
            edit_physical_machine(actor=actor, pc=pc, address="10.0.0.9")
        with pytest.raises((refusal, Denied)):
            delete_physical_machine(actor=actor, pc=pc)
    with pytest.raises(Conflict):  # its owner by rights is not who removes PCs
        delete_vm(actor=world.actor("alice"), vm=pc.vm)
    assert PhysicalMachine.objects.get().address == "10.1.2.3"


def test_a_pc_without_a_way_in_or_with_a_taken_name_is_refused(world):
    with pytest.raises(Invalid) as refusal:
        make(world, vnc_port=None)
    assert refusal.value.field == "vnc_port"
    make(world)
    with pytest.raises(Conflict):
        make(world)
    assert PhysicalMachine.objects.count() == VirtualMachine.objects.filter(machine="physical").count() == 1


def test_what_was_seen_does_not_count_at_another_address_nor_does_the_password_go_there(world):
    pc = make(world)
    assert is_on(pc).consoles == [{"kind": "vnc", "host": "10.1.2.3", "port": 5900, "bare": True}]
    pc = edit_physical_machine(actor=world.actor("root"), pc=pc, address="10.1.2.4", title="Desk")
    vm = VirtualMachine.objects.get(pk=pc.pk)
    assert (vm.power_state, vm.consoles, vm.title, pc.vnc_secret) == ("unknown", [], "Desk", "")
    observe.write(PhysicalMachine(pk=pc.pk, vm=vm, address="10.1.2.3"), observe.Seen("10.1.2.3", (5900,), there=True))
    assert VirtualMachine.objects.get(pk=pc.pk).consoles == []  # what was on its way about the old place
    kept = edit_physical_machine(actor=world.actor("root"), pc=pc, vnc_password="other", address="10.1.2.5")
    assert secret.opened(kept) == "other"


def test_one_lost_answer_switches_nobody_off(world):
    pc = make(world)
    boot = is_on(pc).boot_id
    observe.write(pc, observe.Seen("10.1.2.3"))
    vm = VirtualMachine.objects.get(pk=pc.pk)
    assert (vm.power_state, vm.boot_id, bool(vm.consoles)) == ("running", boot, True)
    assert is_on(pc).boot_id == boot
    off = is_off(pc)
    assert (off.power_state, off.boot_id, off.consoles) == ("off", "", [])
    assert is_on(pc).boot_id not in ("", boot)


def test_an_address_that_may_not_be_used_any_more_closes_it_at_once(world):
    pc = make(world)
    is_on(pc)
    observe.write(pc, observe.Seen(error="no", refused=True))
    vm = VirtualMachine.objects.get(pk=pc.pk)
    assert (vm.power_state, vm.consoles) == ("unknown", [])
    assert PhysicalMachine.objects.get().resolved is None


def test_maintenance_closes_it_and_stays(world):
    pc = make(world, mac="52:54:00:aa:bb:01")
    is_on(pc)
    pc = edit_physical_machine(actor=world.actor("root"), pc=pc, maintenance=True)
    vm = is_on(pc)
    assert (vm.power_state, vm.power_reason, vm.consoles) == ("unknown", "maintenance", [])
    with pytest.raises(Conflict) as refusal:
        start_vm(actor=world.actor("root"), vm=vm)
    assert refusal.value.rule == "physical.maintenance"
    pc = edit_physical_machine(actor=world.actor("root"), pc=pc, maintenance=False)
    assert is_on(pc).power_state == "running"


def test_what_no_hypervisor_does_is_refused_by_name(world):
    pc = make(world)
    vm, root = is_on(pc), world.actor("root")
    deeds = [
        lambda: shutdown_vm(actor=root, vm=vm),
        lambda: power_off_vm(actor=root, vm=vm),
        lambda: reboot_vm(actor=root, vm=vm),
        lambda: suspend_vm(actor=root, vm=vm),
        lambda: migrate_vm(actor=root, vm=vm),
        lambda: take_snapshot(actor=root, vm=vm, name="x"),
        lambda: clone_vm(actor=root, vm=vm, name="x"),
        lambda: create_nic(actor=root, vm=vm, network=world.network),
        lambda: edit_vm(actor=root, vm=vm, vcpus=2),
        lambda: examine_disks(actor=root, vm=vm),
        lambda: delete_vm(actor=root, vm=vm),
        lambda: back_up(actor=root, vm=vm, target=None),
    ]
    for number, deed in enumerate(deeds):
        with pytest.raises(Conflict) as refusal:
            deed()
        assert refusal.value.rule == "machine.virtual", number
    assert not Job.objects.exists()


def test_it_is_woken_only_when_it_is_off_and_its_card_is_known(world):
    pc = make(world)
    root = world.actor("root")
    with pytest.raises(Conflict) as refusal:
        start_vm(actor=root, vm=is_off(pc))
    assert refusal.value.rule == "physical.mac"
    pc = edit_physical_machine(actor=root, pc=pc, mac="52:54:00:aa:bb:01")
    with pytest.raises(Conflict):
        start_vm(actor=root, vm=is_on(pc))
    vm = is_off(pc)
    assert start_vm(actor=root, vm=vm).plan == "vm.wake"
    with pytest.raises(Busy):
        delete_physical_machine(actor=root, pc=pc)


def test_removing_it_takes_its_rights_along(world):
    pc = make(world)
    world.grant(world.alice, "vm-user", pc.vm)
    delete_physical_machine(actor=world.actor("root"), pc=pc)
    assert not VirtualMachine.objects.exists() and not PhysicalMachine.objects.exists()
    assert not Grant.objects.filter(user=world.alice).exists()
