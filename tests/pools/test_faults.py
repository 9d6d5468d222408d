"""Faults while a pool makes itself ready: it waits longer each time, says why once, harms nobody, and heals."""

from datetime import timedelta

import pytest

from broker.core import clock
from broker.core.errors import NoCapacity
from broker.events.models import Event
from broker.jobs import runner
from broker.jobs.models import Job
from broker.virt import hosts
from broker.virt.driver import HostUnreachable, NoSpace, Refused
from broker.virt.drivers.simulated.world import world as simulated
from broker.virt.models import Host, VirtualMachine
from broker.virt.monitor import facts
from pools.actions.allocate import allocate
from pools.actions.edit_pool import edit_pool
from pools.models import Pool
from pools.reconcile import reconcile_pool
from tests.jobs_help import run_all
from tests.pools.conftest import SYSTEM, running, settle, states
from tests.pools.test_trouble import time_passes

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(world, hypervisor):
    """The simulated host, whose ordered faults end with the test."""
    found = simulated(world.host.uri)
    yield found
    heal(found)
    hosts.forget(world.host)


def heal(place) -> None:
    place.plug()
    with place.changing() as data:
        data["faults"] = []


def told(pool) -> list[str]:
    """The kinds of what was told about the pool's trouble, in order."""
    rows = Event.objects.filter(subject_id=pool.pk, kind__in=("pool.trouble", "pool.healed")).order_by("at", "pk")
    return list(rows.values_list("kind", flat=True))


def attempt(pool) -> int:
    """One look and the work it leads to; returns how many jobs were begun."""
    before = Job.objects.count()
    reconcile_pool(pool.pk)
    run_all()
    reconcile_pool(pool.pk)
    run_all()
    pool.refresh_from_db()
    return Job.objects.count() - before


def test_starts_that_fail_back_off_name_their_cause_and_heal(world, make_pool, place):
    pool = make_pool(size=4)
    settle(pool)
    broken = Refused("The processor of %(host)s has no virtualisation.", fix="Switch it on in its firmware.", host="x")
    place.fail_next("start", broken, times=1000)
    edit_pool(actor=SYSTEM, pool=pool, prestarted=3)
    pauses = []
    for tries in (1, 2, 3, 4):
        attempt(pool)
        assert pool.failures == tries
        pauses.append((pool.retry_at - clock.now()).total_seconds())
        assert attempt(pool) == 0, "nothing is begun before its time has come"
        time_passes(pool)
    assert pauses == sorted(pauses)
    assert pauses[-1] > 4 * pauses[0]
    assert pool.alert["message"] % pool.alert["params"] == "The processor of x has no virtualisation."
    assert pool.alert["fix"]
    assert told(pool) == ["pool.trouble"], "one alert, however often it failed"
    assert states(pool) == {"free": 4}, "no desktop is blamed for what befalls all"
    heal(place)
    settle(pool)
    pool.refresh_from_db()
    assert (pool.alert, pool.failures, running(pool)) == (None, 0, 3)
    assert told(pool) == ["pool.trouble", "pool.healed"]


def test_a_host_that_is_cut_off_is_the_cause_and_nothing_is_broken_by_it(world, make_pool, place, monkeypatch):
    """Before it is noticed the starts fail, one at a time; after that none is tried, and why is said all the same."""
    pool = make_pool(size=4)
    settle(pool)
    monkeypatch.setattr(runner.Attempt, "_patient", lambda attempt: False)  # a job waits a minute for a host
    place.unplug()
    edit_pool(actor=SYSTEM, pool=pool, prestarted=3)
    for tries in (1, 2, 3):
        assert attempt(pool) == (3 if tries == 1 else 1), "one at a time while it is doubtful"
        assert pool.failures == tries and attempt(pool) == 0, "nothing is begun before its time has come"
        time_passes(pool)
    assert pool.alert["code"] == "host-unreachable"
    facts.unreachable(world.host, HostUnreachable("It is silent.", fix="Wait."))
    Job.objects.all().delete()
    assert attempt(pool) == 0
    assert pool.alert["rule"] == "host.reachable" and pool.alert["fix"]
    assert [(one["subject"], one["kind"], one["id"]) for one in pool.alert["reasons"]] == [
        (world.host.name, "host", str(world.host.pk))
    ]
    assert told(pool) == ["pool.trouble"]
    assert states(pool) == {"free": 4}
    with pytest.raises(NoCapacity) as refused:
        allocate(actor=world.actor("alice"), pool=pool)
    assert {reason.rule for reason in refused.value.reasons if reason.kind == "vm"} == {"host.reachable"}
    place.plug()
    hosts.forget(world.host)  # a host that failed is left alone for a while
    Host.objects.update(error="")
    settle(pool)
    pool.refresh_from_db()
    assert (pool.alert, pool.failures, running(pool)) == (None, 0, 3)
    assert told(pool) == ["pool.trouble", "pool.healed"]


def test_while_one_host_is_cut_off_desktops_of_the_other_are_made_ready_and_handed_out(world, make_pool, place):
    """Those that ran on the silent one are made up for after half a minute; in use they stay whose they are."""
    pool = make_pool(size=4, prestarted=1)
    settle(pool)
    held = allocate(actor=world.actor("alice"), pool=pool).desktop
    settle(pool)
    other = Host.objects.create(
        cluster=world.cluster, name="host-2", driver="simulated", uri="sim://host-2", cpus=8, graphics=["vnc"],
        memory_bytes=world.host.memory_bytes, memory_free_bytes=world.host.memory_bytes, observed_at=clock.now(),
    )  # fmt: skip
    off = VirtualMachine.objects.filter(desktop__pool=pool, power_state="off").order_by("desktop__number").last()
    VirtualMachine.objects.filter(pk=off.pk).update(host=other)
    Host.objects.filter(pk=world.host.pk).update(error="silent", observed_at=clock.now())
    assert reconcile_pool(pool.pk).restful, "a moment's silence starts nothing elsewhere"
    Host.objects.filter(pk=world.host.pk).update(observed_at=clock.now() - timedelta(minutes=1))
    assert reconcile_pool(pool.pk).start == (off.pk,)
    assert not Pool.objects.get(pk=pool.pk).alert
    assert allocate(actor=world.actor("bob"), pool=pool).desktop.pk == off.pk, "not one that nobody can reach"
    held.refresh_from_db()
    assert held.holder == world.alice


def test_a_desktop_in_use_goes_on_while_the_pool_is_in_trouble(world, make_pool, place):
    pool = make_pool(size=2, prestarted=1)
    settle(pool)
    held = allocate(actor=world.actor("alice"), pool=pool).desktop
    place.fail_next("start", Refused("No.", fix="Wait."), times=1000)
    for _ in range(4):
        attempt(pool)
        time_passes(pool)
    held.refresh_from_db()
    assert held.holder == world.alice
    assert VirtualMachine.objects.get(pk=held.pk).power_state == "running"
    assert pool.alert


def test_suspending_that_fails_is_told_and_breaks_nothing(world, make_pool, place):
    pool = make_pool(size=2, suspended=1)
    settle(pool)
    place.fail_next("suspend", NoSpace("There is no room for its memory.", fix="Make room."), times=1000)
    for _ in range(3):
        VirtualMachine.objects.filter(power_state="running").update(booted_at=clock.now() - timedelta(minutes=5))
        attempt(pool)
        assert states(pool) == {"free": 2}
        Job.objects.filter(plan="vm.suspend").update(finished_at=clock.now() - timedelta(minutes=10))
    attempt(pool)
    assert "no room" in pool.alert["message"]
    assert told(pool) == ["pool.trouble"]
    assert states(pool) == {"free": 2}
    assert allocate(actor=world.actor("alice"), pool=pool).state == "ready", "a desktop that runs is as good as ever"
    heal(place)
    VirtualMachine.objects.filter(power_state="running").update(booted_at=clock.now() - timedelta(minutes=5))
    Job.objects.filter(plan="vm.suspend").update(finished_at=clock.now() - timedelta(minutes=10))
    for _ in range(3):
        attempt(pool)
        VirtualMachine.objects.filter(power_state="running").update(booted_at=clock.now() - timedelta(minutes=5))
    assert pool.alert is None
    assert told(pool) == ["pool.trouble", "pool.healed"]
