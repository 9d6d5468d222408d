"""The monitor over simulated hosts whose events get lost, doubled and reordered, and which go away and hang."""

import threading
import time
import uuid

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.virt.driver import PowerState
from broker.virt.drivers.simulated import world as simulated
from broker.virt.models import ForeignMachine, Host, MonitorProcess, Sample, StorageDomain, VirtualMachine
from broker.virt.monitor import leases, process, watch
from tests.virt.monitor.help import eventually, machine

pytestmark = pytest.mark.django_db(transaction=True)


def power(vm) -> str:
    return VirtualMachine.objects.values_list("power_state", flat=True).get(pk=vm.pk)


def host() -> Host:
    return Host.objects.get(name="host-1")


def test_events_arrive_at_once(world, scene):
    vm = machine(world, definition="", observed_definition="")
    connection = scene.define(vm)
    scene.watch()
    eventually(lambda: power(vm) == PowerState.OFF)
    connection.start(str(vm.pk))
    assert eventually(lambda: power(vm) == PowerState.RUNNING) < 1
    connection.power_off(str(vm.pk))
    assert eventually(lambda: power(vm) == PowerState.OFF) < 1
    connection.undefine(str(vm.pk))
    assert eventually(lambda: power(vm) == PowerState.MISSING) < 1
    kinds = set(Event.objects.filter(subject_id=vm.pk).values_list("kind", flat=True))
    assert kinds == {f"vm.changed-outside.{what}" for what in ("started", "stopped", "removed")}


@pytest.mark.parametrize("fault", ["lost", "doubled", "reordered", "switched off"])
def test_faulty_events_change_nothing_but_latency(world, scene, quick_passes, fault):
    """Fault F32 of docs/faults.md."""
    vm = machine(world, definition="", observed_definition="")
    connection = scene.define(vm)
    kept = []

    def reorder(event):
        kept.append(event)
        return list(reversed(kept)) if len(kept) % 2 == 0 else []

    mangle = {"lost": lambda event: [], "doubled": lambda event: [event, event], "reordered": reorder}.get(fault)
    scene.watch(mangle=mangle, events=fault != "switched off")
    for _ in range(3):
        connection.start(str(vm.pk))
        eventually(lambda: power(vm) == PowerState.RUNNING)
        connection.power_off(str(vm.pk))
        eventually(lambda: power(vm) == PowerState.OFF)
    time.sleep(0.5)
    assert power(vm) == PowerState.OFF
    stopped = Event.objects.filter(kind="vm.changed-outside.stopped", subject_id=vm.pk).count()
    assert stopped == 3


def test_host_facts_storage_and_foreign_machines(world, scene):
    stranger = scene.place.add_foreign("not-ours", power="running")
    StorageDomain.objects.update(observed_at=None, capacity_bytes=0)
    scene.define(machine(world))
    from broker.virt import specs

    scene.connect().ensure_storage(specs.storage_spec(world.storage))
    scene.watch()
    eventually(lambda: ForeignMachine.objects.filter(uuid=stranger, power_state="running").exists())
    row = host()
    assert (row.hypervisor, row.cpus, row.emulated, row.error) == ("Simulated 1", 8, False, "")
    assert row.observed_uuid
    eventually(lambda: StorageDomain.objects.get().capacity_bytes > 0)


def test_unplugged_host_says_so_and_is_caught_up_with(world, scene):
    vm = machine(world, definition="", observed_definition="")
    scene.define(vm, start=True)
    scene.watch()
    eventually(lambda: power(vm) == PowerState.RUNNING)
    scene.place.unplug()
    eventually(lambda: host().error)
    assert power(vm) == PowerState.RUNNING  # nothing was seen, so nothing is said
    with scene.place.changing() as data:
        data["machines"][str(vm.pk)].update(power="off", reason="destroyed")
    scene.place.plug()
    eventually(lambda: power(vm) == PowerState.OFF)
    eventually(lambda: host().error == "")
    kinds = list(Event.objects.filter(subject_kind="host").order_by("id").values_list("kind", flat=True))
    assert kinds == ["host.unreachable", "host.reachable"]


def test_another_hypervisor_at_the_address_is_refused(world, scene):
    """Fault F40 of docs/faults.md."""
    vm = machine(world)
    scene.define(vm)
    Host.objects.update(observed_uuid="11111111-2222-3333-4444-555555555555")
    scene.watch()
    eventually(lambda: "Another hypervisor" in host().error)
    time.sleep(0.3)
    assert power(vm) == PowerState.UNKNOWN
    assert host().observed_at is None


def test_one_hypervisor_is_not_two_hosts(world, scene):
    """Fault F40 of docs/faults.md."""
    scene.watch()
    eventually(lambda: host().observed_at)
    twin = Host.objects.create(cluster=world.cluster, name="twin", driver="simulated", uri=f"{scene.host.uri}?state=")
    eventually(lambda: "same hypervisor" in Host.objects.get(pk=twin.pk).error)


def test_hanging_and_dead_hosts_block_nobody(world, scene, monkeypatch):
    """Fault F15 of docs/faults.md."""
    monkeypatch.setattr(process, "SILENT_SECONDS", 0.5)
    dead = f"sim://{uuid.uuid4().hex}"
    hang, vm = threading.Event(), machine(world, definition="", observed_definition="")
    connection = scene.define(vm)
    Host.objects.create(cluster=world.cluster, name="hangs", driver="simulated", uri=f"sim://{uuid.uuid4().hex}")
    Host.objects.create(cluster=world.cluster, name="dead", driver="simulated", uri=dead)
    simulated(dead).unplug()

    def connect(row):
        if row.name == "hangs":
            hang.wait(30)
        return watch.connect(row)

    scene.watch(connect=connect)
    try:
        eventually(lambda: host().observed_at)
        eventually(lambda: Host.objects.get(name="dead").error)
        eventually(lambda: "has not answered" in Host.objects.get(name="hangs").error)
        connection.start(str(vm.pk))
        assert eventually(lambda: power(vm) == PowerState.RUNNING) < 1
    finally:
        hang.set()
    eventually(lambda: Host.objects.get(name="hangs").error == "")


def test_hosts_are_shared_and_taken_over(world):
    for number in range(2, 5):
        Host.objects.create(cluster=world.cluster, name=f"host-{number}", driver="simulated", uri=f"sim://s{number}")
    assert len(leases.share("a")) == 4
    leases.share("b")
    assert len(leases.share("a")) == 2
    assert len(leases.share("b")) == 2
    assert not leases.share("a").keys() & leases.share("b").keys()
    leases.leave("a")
    assert len(leases.share("b")) == 4
    assert not MonitorProcess.objects.filter(name="a").exists()


def test_silent_monitor_loses_its_hosts(world):
    assert len(leases.share("dead")) == 1
    assert leases.share("new") == {}
    past = clock.now().replace(year=2020)
    MonitorProcess.objects.filter(name="dead").update(seen_at=past)
    Host.objects.filter(monitor="dead").update(monitor_until=past)
    assert len(leases.share("new")) == 1
    assert leases.share("dead") == {}


def test_stopping_gives_the_leases_back(world, scene):
    _, end = scene.watch(name="a")
    eventually(lambda: host().monitor == "a")
    end()
    assert host().monitor == ""


def test_moved_host_is_watched_at_its_new_address(world, scene):
    vm = machine(world, definition="", observed_definition="")
    scene.define(vm)
    scene.watch()
    eventually(lambda: power(vm) == PowerState.OFF)
    Host.objects.update(uri=f"sim://{uuid.uuid4().hex}", observed_uuid="")
    eventually(lambda: power(vm) == PowerState.MISSING)


def test_guest_is_asked_until_it_answers(world, scene, monkeypatch):
    from broker.virt.monitor import guests

    monkeypatch.setattr(guests, "FIRST_ASK", 0.05)
    vm = machine(world, definition="", observed_definition="")
    scene.define(vm)
    scene.place.lose_agent(str(vm.pk))
    scene.connect().start(str(vm.pk))
    scene.watch()
    eventually(lambda: VirtualMachine.objects.get(pk=vm.pk).guest == {"agent": False})
    scene.place.lose_agent(str(vm.pk), False)
    eventually(lambda: VirtualMachine.objects.get(pk=vm.pk).guest.get("agent"))
    guest = VirtualMachine.objects.get(pk=vm.pk).guest
    assert guest["hostname"] == vm.name
    assert guest["addresses"]


def test_load_is_measured(world, scene, quick_passes):
    vm = machine(world, definition="", observed_definition="")
    scene.define(vm, start=True)
    scene.watch()
    eventually(lambda: Sample.objects.filter(vm=vm).count() >= 3)
    sample = Sample.objects.filter(vm=vm).first()
    assert sample.cpu_percent == 5
    assert sample.memory_used_bytes == 32 << 20
    assert 3500 < sample.disk_read_rate < 4700
    assert VirtualMachine.objects.get(pk=vm.pk).cpu_percent == 5
