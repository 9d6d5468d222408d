"""Pools that are ready, over the simulated driver: suspended ones, the calendar, opening hours, storage, limits."""

import time
from datetime import datetime, timedelta
from uuid import NAMESPACE_DNS, UUID, uuid5
from zoneinfo import ZoneInfo

import pytest

from broker.core import clock
from broker.core.errors import Conflict, Invalid, NoCapacity
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.models import Disk, Host, StorageDomain, VirtualMachine
from pools.actions.allocate import allocate
from pools.actions.delete_pool import delete_pool
from pools.actions.edit_pool import edit_pool
from pools.actions.release import release
from pools.actions.retire_desktop import retire_desktop
from pools.aiming import make_forecast, make_forecasts
from pools.models import Assignment, Desktop, PoolForecast
from pools.reconcile import reconcile_pool
from pools.storage import GIB, Place, choose
from tests.jobs_help import run_all
from tests.pools.conftest import SYSTEM, free_rows, running, settle, states

pytestmark = pytest.mark.django_db
BERLIN = "Europe/Berlin"


def booted() -> None:
    """Every machine that runs has been up for long enough."""
    VirtualMachine.objects.filter(power_state="running").update(booted_at=clock.now() - timedelta(minutes=5))


def power(pool) -> dict[str, int]:
    """How many free desktops are in which power state."""
    found: dict[str, int] = {}
    for state in Desktop.objects.filter(pool=pool, state="free").values_list("vm__power_state", flat=True):
        found[state] = found.get(state, 0) + 1
    return found


def settle_with_boots(pool, rounds: int = 12) -> None:
    for _ in range(rounds):
        settle(pool)
        booted()
        if reconcile_pool(pool.pk).restful:
            return
        run_all()
    raise AssertionError("the pool does not come to rest")


@pytest.fixture
def at(monkeypatch):
    """`at("2026-11-23T08:00")`: it is then in Berlin, from now on."""
    real = time.monotonic

    def go(text: str) -> None:
        moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN))
        begun = real()
        clock.use(wall=lambda: moment + timedelta(seconds=real() - begun), steady_clock=real)

    yield go
    clock.restore()


# -- the second level ----------------------------------------------------------------------------------------


def test_some_run_and_some_lie_suspended(world, make_pool):
    pool = make_pool(size=5, prestarted=1, suspended=2)
    settle(pool)
    assert power(pool) == {"running": 3, "off": 2}, "those for the disk boot first"
    booted()
    settle(pool)
    assert power(pool) == {"running": 1, "suspended": 2, "off": 2}


def test_nothing_is_suspended_while_it_boots(world, make_pool):
    pool = make_pool(size=2, suspended=1)
    settle(pool)
    assert not Job.objects.filter(plan="vm.suspend").exists()
    VirtualMachine.objects.filter(power_state="running").update(guest={"agent": True}, booted_at=clock.now())
    settle(pool)
    assert power(pool) == {"suspended": 1, "off": 1}, "its agent says that it is up"


def test_taking_prefers_running_then_suspended_then_off_and_is_made_up_for(world, make_pool):
    pool = make_pool(size=4, prestarted=1, suspended=1, max_per_user=4)
    settle_with_boots(pool)
    took = [allocate(actor=world.actor("alice"), pool=pool).desktop for _ in range(3)]
    kinds = ["running", "suspended", "off"]
    assert [VirtualMachine.objects.get(pk=one.pk).power_state for one in took] == kinds
    run_all()
    assert set(VirtualMachine.objects.filter(desktop__holder=world.alice).values_list("power_state", flat=True)) == {
        "running"
    }
    for one in took:
        one.refresh_from_db()
        release(actor=world.actor("alice"), desktop=one)
    settle_with_boots(pool)
    assert power(pool) == {"running": 1, "suspended": 1, "off": 2}


def test_a_refill_wakes_a_suspended_one_first(world, make_pool):
    pool = make_pool(size=4, prestarted=1, suspended=1)
    settle_with_boots(pool)
    asleep = Desktop.objects.get(pool=pool, vm__power_state="suspended")
    allocate(actor=world.actor("alice"), pool=pool)
    plan = reconcile_pool(pool.pk)
    assert plan.start[0] == asleep.pk
    run_all()
    settle_with_boots(pool)
    assert power(pool) == {"running": 1, "suspended": 1, "off": 1}


def test_too_many_suspended_ones_are_dropped_but_not_where_memory_counts(world, make_pool):
    forgetful = make_pool(size=2, suspended=2)
    keeping = make_pool(name="kept", size=2, suspended=2, stateful=True)
    for pool in (forgetful, keeping):
        settle_with_boots(pool)
        edit_pool(actor=SYSTEM, pool=pool, suspended=0)
    Desktop.objects.update(changed_at=clock.now() - timedelta(minutes=10))
    for pool in (forgetful, keeping):
        settle(pool)
    assert power(forgetful) == {"off": 2}
    assert power(keeping) == {"suspended": 2}


def test_more_cannot_be_ready_than_there_are(world, make_pool):
    with pytest.raises(Invalid) as refusal:
        make_pool(size=3, prestarted=2, suspended=2)
    assert refusal.value.field == "suspended"


# -- the calendar --------------------------------------------------------------------------------------------


def rule(**values):
    return {"days": [0, 1, 2, 3, 4], "start": "07:00", "end": "18:00", "zone": BERLIN, **values}


def test_numbers_follow_the_calendar(world, make_pool, at):
    at("2026-11-23T06:59")
    pool = make_pool(size=2, schedule=[rule(size=4, prestarted=3)])
    settle(pool)
    assert states(pool) == {"free": 2}
    pool.refresh_from_db()
    assert pool.target is None
    at("2026-11-23T07:00")
    settle(pool)
    assert (states(pool), running(pool)) == ({"free": 4}, 3)
    pool.refresh_from_db()
    assert pool.target["scheduled"]
    assert pool.target["size"] == 4
    holder = allocate(actor=world.actor("alice"), pool=pool).desktop
    at("2026-11-23T18:05")
    settle(pool)
    assert states(pool) == {"assigned": 1, "free": 1}, "whoever works goes on working"
    assert Desktop.objects.get(holder=world.alice).pk == holder.pk


def test_the_forecast_makes_the_morning_ready(world, make_pool, at):
    at("2026-11-23T08:10")
    pool = make_pool(size=6, zone=BERLIN)
    now = clock.now()
    type(pool).objects.filter(pk=pool.pk).update(created_at=now - timedelta(weeks=5))
    for week in range(1, 5):
        begin = now - timedelta(weeks=week) + timedelta(minutes=50)
        for number in range(4):
            Assignment.objects.create(
                pool=pool, desktop_name=f"d{number}", user=world.alice, since=begin,
                until=begin + timedelta(hours=2), reason="x",
            )  # fmt: skip
    pool.refresh_from_db()
    make_forecast(pool)
    settle(pool)
    assert running(pool) == 0, "it is not switched on"
    edit_pool(actor=SYSTEM, pool=pool, forecast=True)
    settle(pool)
    assert running(pool) == 0, "too early"
    at("2026-11-23T08:31")
    settle(pool)
    assert running(pool) == 4
    pool.refresh_from_db()
    assert pool.target["foreseen"] == 4


def test_forecasts_are_made_anew_when_they_are_old(world, make_pool):
    pool = make_pool(size=1)
    assert make_forecasts() == 1
    assert make_forecasts() == 0
    PoolForecast.objects.update(made_at=clock.now() - timedelta(hours=2))
    assert make_forecasts() == 1
    edit_pool(actor=SYSTEM, pool=pool, zone=BERLIN)
    assert make_forecasts() == 1
    assert PoolForecast.objects.get().zone == BERLIN


# -- opening hours -------------------------------------------------------------------------------------------


def test_outside_of_its_hours_nothing_is_handed_out_and_holders_stay(world, make_pool, at):
    at("2026-11-20T17:59")  # a Friday
    pool = make_pool(size=2, hours=[{"days": [0, 1, 2, 3, 4], "start": "08:00", "end": "18:00", "zone": BERLIN}])
    settle(pool)
    held = allocate(actor=world.actor("alice"), pool=pool).desktop
    at("2026-11-20T18:00")
    with pytest.raises(Conflict) as refusal:
        allocate(actor=world.actor("bob"), pool=pool)
    assert refusal.value.rule == "pool.hours"
    assert "Monday 23 November, 08:00 (Europe/Berlin)" in refusal.value.message
    assert allocate(actor=world.actor("alice"), pool=pool).desktop == held, "who is inside stays inside"
    at("2026-11-23T08:00")
    assert allocate(actor=world.actor("bob"), pool=pool).desktop != held


# -- storage -------------------------------------------------------------------------------------------------


def place(name, free, host=None, usable=True):
    return Place(uuid5(NAMESPACE_DNS, name), name, int(free * GIB), host, usable)


def test_the_emptiest_storage_that_will_do_is_chosen():
    here, there = UUID(int=1), UUID(int=2)
    places = [place("full", 0.5), place("far", 900, there), place("down", 800, here, usable=False), place("a", 5),
              place("b", 7, here)]  # fmt: skip
    assert choose(places, bound_to=here, need=GIB).name == "b"
    assert choose(places, bound_to=None, need=GIB).name == "far"
    with pytest.raises(NoCapacity) as refusal:
        choose(places, bound_to=here, need=50 * GIB)
    assert {reason.subject: reason.rule for reason in refusal.value.reasons} == {
        "full": "storage.space", "far": "storage.template", "down": "storage.host", "a": "storage.space",
        "b": "storage.space",
    }  # fmt: skip


def test_a_pool_without_a_storage_spreads_over_those_with_room(world, make_pool, hypervisor):
    other = StorageDomain.objects.create(
        cluster=world.cluster, name="more", path="/sim/more", capacity_bytes=1000 * GIB, available_bytes=900 * GIB
    )
    pool = make_pool(size=6, storage=None)
    settle(pool)
    used = list(Disk.objects.filter(vm__desktop__pool=pool).values_list("storage__name", flat=True))
    assert sorted(used) == ["disks"] * 3 + ["more"] * 3
    StorageDomain.objects.filter(pk=other.pk).update(available_bytes=10 * GIB)
    edit_pool(actor=SYSTEM, pool=pool, size=8)
    settle(pool)
    assert Disk.objects.filter(vm__desktop__pool=pool, storage=other).count() == 3


def test_without_room_anywhere_the_pool_says_so_and_heals(world, make_pool, hypervisor):
    StorageDomain.objects.update(available_bytes=int(2.5 * GIB), warning_percent=0, critical_percent=0)
    pool = make_pool(size=3, storage=None)
    reconcile_pool(pool.pk)
    run_all()
    assert Desktop.objects.filter(pool=pool).count() == 2, "what there is room for is made"
    StorageDomain.objects.update(available_bytes=0)
    reconcile_pool(pool.pk)
    pool.refresh_from_db()
    assert pool.alert["rule"] == "pool.storage"
    StorageDomain.objects.update(available_bytes=900 * GIB)
    settle(pool)
    pool.refresh_from_db()
    assert (pool.alert, states(pool)) == (None, {"free": 3})


# -- limits and protection -----------------------------------------------------------------------------------


def under_way() -> int:
    return Job.objects.filter(plan="vm.start", state__in=ACTIVE).count()


def test_hosts_are_not_asked_to_start_more_than_they_bear(world, make_pool, settings):
    settings.STARTS_PER_HOST = 3
    one, two = make_pool(name="one", size=6), make_pool(name="two", size=6)
    for pool in (one, two):
        settle(pool)
        edit_pool(actor=SYSTEM, pool=pool, prestarted=6)
    assert len(reconcile_pool(one.pk).start) == 3
    assert not reconcile_pool(two.pk).start, "the host has enough to do, whoever asked for it"
    assert under_way() == 3
    second = Host.objects.create(
        cluster=world.cluster, name="host-2", driver="simulated", uri="sim://host-2", cpus=8,
        memory_bytes=64 * GIB, memory_free_bytes=64 * GIB, graphics=["vnc"],
    )  # fmt: skip
    assert not reconcile_pool(two.pk).start, "its machines are on the first host"
    VirtualMachine.objects.filter(desktop__pool=two).update(host=second)
    assert len(reconcile_pool(two.pk).start) == 3
    settings.STARTS_PER_CLUSTER = 5
    assert not reconcile_pool(one.pk).start


def test_a_protected_pool_is_not_deleted_even_with_force(world, make_pool):
    pool = make_pool(size=0, protected=True)
    with pytest.raises(Conflict) as refusal:
        delete_pool(actor=SYSTEM, pool=pool, force=True)
    assert refusal.value.rule == "pool.protected"
    pool.refresh_from_db()
    assert pool.state == "active"
    edit_pool(actor=SYSTEM, pool=pool, protected=False)
    delete_pool(actor=SYSTEM, pool=pool)


def test_a_protected_desktop_outlives_its_pool_s_shrinking(world, make_pool):
    pool = make_pool(size=2)
    settle(pool)
    kept = Desktop.objects.get(pool=pool, number=2)
    edit_vm(actor=world.actor("root"), vm=kept.vm, protected=True)
    with pytest.raises(Conflict) as refusal:
        delete_vm(actor=world.actor("root"), vm=VirtualMachine.objects.get(pk=kept.pk))
    assert refusal.value.rule == "vm.protected"
    with pytest.raises(Conflict):
        retire_desktop(actor=world.actor("root"), desktop=Desktop.objects.select_related("vm").get(pk=kept.pk))
    edit_pool(actor=SYSTEM, pool=pool, size=0)
    settle(pool)
    assert list(Desktop.objects.filter(pool=pool).values_list("pk", "state")) == [(kept.pk, "free")]
    edit_vm(actor=world.actor("root"), vm=kept.vm, protected=False)
    settle(pool)
    assert not Desktop.objects.filter(pool=pool).exists()


def test_two_admins_resizing_one_pool(world, make_pool):
    """F28."""
    pool = make_pool(size=3)
    seen = pool.revision
    edit_pool(actor=SYSTEM, pool=pool, revision=seen, size=5)
    other = type(pool).objects.get(pk=pool.pk)
    with pytest.raises(Conflict) as refusal:
        edit_pool(actor=world.actor("root"), pool=other, revision=seen, size=1)
    assert refusal.value.rule == "revision"
    assert type(pool).objects.get(pk=pool.pk).size == 5


def test_a_template_of_thirty_clones_is_not_deleted(world, make_pool):
    """F29."""
    from broker.virt.actions.delete_template import delete_template

    pool = make_pool(size=30)
    free_rows(pool, world, 30)
    with pytest.raises(Conflict) as refusal:
        delete_template(actor=SYSTEM, template=world.template)
    assert "desk" in refusal.value.message
    world.template.refresh_from_db()
