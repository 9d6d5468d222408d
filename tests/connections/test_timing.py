"""How long somebody waited, by phase: read from what is written anyway, counted once, never falling."""

import random
from datetime import timedelta
from math import ceil

import pytest
from django.contrib.sessions.backends.db import SessionStore

from broker.connections.models import Session, SessionTiming, TimingTotal
from broker.connections.percentiles import percentile, percentiles
from broker.connections.timing import SIGNED_IN, Picture, note_pictures
from broker.connections.timing_duty import AGENT_AWAITED, BOUNDS, KEPT, tidy
from broker.core import clock
from broker.gateway import django_desk
from broker.gateway.desk import Alive
from broker.gateway.django_desk import DjangoDesk
from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from pools.models import Assignment, Desktop, Pool, PoolGoal
from pools.time_to_desktop import summary

pytestmark = pytest.mark.django_db


def at(seconds, base=None):
    return (base or BASE) + timedelta(seconds=seconds)


BASE = clock.now().replace(microsecond=0) - timedelta(minutes=5)


@pytest.fixture
def pool(setting):
    world = setting.world
    return Pool.objects.create(
        name="seats", title="Seats", cluster=world.cluster, template=world.template, storage=world.storage, size=1
    )


@pytest.fixture
def desk(setting, pool):
    """Alice's desktop, asked for at second 0 and given half a second later."""
    desktop = Desktop.objects.create(
        vm=setting.vm, pool=pool, number=1, state="assigned", holder=setting.world.alice, held_since=at(0.5)
    )
    Assignment.objects.create(
        desktop=desktop, desktop_name="x", pool=pool, user=setting.world.alice, asked_at=at(0), since=at(0.5)
    )
    return desktop


def opened(setting, second, *, user=None, key=None):
    """A session whose browser knocked at that second."""
    session = Session.objects.create(
        user=user or setting.world.alice, vm=setting.vm, gateway="g1", boot_id=setting.vm.boot_id
    )
    Session.objects.filter(pk=session.pk).update(opened_at=at(second))
    return session


def noted(setting, session, seconds=0.8):
    note_pictures({session.pk: Picture(setting.key, seconds)})
    tidy()
    return SessionTiming.objects.get(session=session)


def machine(setting, **values):
    VirtualMachine.objects.filter(pk=setting.vm.pk).update(**values)


def started(setting, second, *, user=None):
    return Job.objects.create(
        plan="vm.start", title="Start", subject_kind="vm", subject_id=setting.vm.pk, subject_name="x",
        actor=user or setting.world.alice, actor_name="x", state="succeeded", created_at=at(second),
    )  # fmt: skip


def test_a_desktop_that_ran_already(setting, desk):
    machine(setting, booted_at=at(-600), agent_at=at(-580), online_at=at(-579))
    row = noted(setting, opened(setting, 2))
    assert (row.allocation, row.start, row.boot, row.agent, row.picture) == (500, None, None, None, 800)
    assert row.total == 2800
    assert row.pool_id == desk.pool_id
    assert row.slowest == "picture"


def test_a_desktop_that_had_to_be_started(setting, desk):
    started(setting, 0.6)
    machine(setting, booted_at=at(3.6), agent_at=None, online_at=None)
    row = noted(setting, opened(setting, 4))
    assert row.open, "its agent is still waited for"
    assert not TimingTotal.objects.exists()
    machine(setting, agent_at=at(13.6), online_at=at(15.1))
    tidy()
    row.refresh_from_db()
    assert (row.allocation, row.start, row.boot, row.agent, row.picture) == (500, 3000, 10000, 1500, 800)
    assert row.total == 15100
    assert row.slowest == "boot"
    assert not row.open


def test_a_guest_without_an_agent_is_not_waited_for_for_ever(setting, desk):
    started(setting, 0.6)
    machine(setting, booted_at=at(3.6))
    row = noted(setting, opened(setting, 4))
    SessionTiming.objects.update(at=clock.now() - AGENT_AWAITED - timedelta(seconds=1))
    tidy()
    row.refresh_from_db()
    assert not row.open
    assert row.boot is None


def test_the_second_look_was_not_waited_for(setting, desk):
    machine(setting, booted_at=at(-600), agent_at=at(-580), online_at=at(-579))
    noted(setting, opened(setting, 2))
    again = noted(setting, opened(setting, 60))
    assert again.allocation is None
    assert (again.at - again.began_at).total_seconds() == pytest.approx(0.8)


def test_the_sign_in_counts_for_the_first_desktop_alone(setting, desk):
    store = SessionStore(session_key=setting.key)
    store[SIGNED_IN] = [at(-3).isoformat(), 0.25]
    store.save()
    assert noted(setting, opened(setting, 2)).sign_in == 250
    assert noted(setting, opened(setting, 60)).sign_in is None


def test_a_desktop_that_was_given_back_at_once_counts_all_the_same(setting, desk):
    Assignment.objects.update(until=at(5))
    Desktop.objects.update(state="resetting", holder=None)
    row = noted(setting, opened(setting, 2))
    assert (row.allocation, row.pool_id) == (500, desk.pool_id)


def test_who_looks_on_did_not_wait(setting, desk):
    session = opened(setting, 2)
    Session.objects.filter(pk=session.pk).update(purpose=Session.Purpose.LOOK)
    assert note_pictures({session.pk: Picture(setting.key, 1.0)}) == 0


def test_somebody_elses_desktop_is_no_allocation_of_ones_own(setting, desk):
    assert noted(setting, opened(setting, 2, user=setting.world.bob)).allocation is None


def test_the_gateway_says_it_once(setting, desk, monkeypatch):
    # In a gateway's thread stale connections are dropped; here it is the test's own, with its transaction.
    monkeypatch.setattr(django_desk, "close_old_connections", lambda: None)
    session = opened(setting, 2)
    alive = Alive(str(session.pk), setting.key, picture=0.4)
    gateway = DjangoDesk("g1")
    gateway.revalidate([Alive(str(session.pk), setting.key)])
    assert not SessionTiming.objects.exists()
    gateway.revalidate([alive])
    gateway.revalidate([alive])
    assert SessionTiming.objects.get().picture == 400
    DjangoDesk("g1").revalidate([alive])
    assert SessionTiming.objects.count() == 1, "nor twice by a gateway that forgot"


def test_the_same_number_of_queries_for_many(setting, desk, django_assert_max_num_queries):
    sessions = [opened(setting, 2 + number) for number in range(40)]
    with django_assert_max_num_queries(5):
        note_pictures({session.pk: Picture(setting.key, 0.5) for session in sessions})
    assert SessionTiming.objects.count() == 40
    with django_assert_max_num_queries(30):
        tidy()


def test_totals_only_grow(setting, desk):
    machine(setting, booted_at=at(-600), agent_at=at(-580), online_at=at(-579))
    note_pictures({opened(setting, 2).pk: Picture(setting.key, 0.8)})
    assert tidy() == 1
    assert tidy() == 0, "counted once"
    total = TimingTotal.objects.get(phase="picture", pool=str(desk.pool_id))
    assert sum(total.buckets) == 1
    assert total.buckets[BOUNDS.index(1.0)] == 1
    SessionTiming.objects.update(at=clock.now() - KEPT - timedelta(days=1))
    tidy()
    assert not SessionTiming.objects.exists()
    assert TimingTotal.objects.get(pk=total.pk).buckets == total.buckets


def test_a_pool_in_percentiles(setting, desk, django_assert_num_queries):
    now = clock.now()
    SessionTiming.objects.bulk_create(
        SessionTiming(
            pool_id=desk.pool_id, began_at=now, at=now - timedelta(minutes=number), boot=number * 100, picture=50,
            total=number * 1000, counted=True,
        )
        for number in range(1, 101)
    )  # fmt: skip
    PoolGoal.objects.create(pool=desk.pool, seconds=60)
    with django_assert_num_queries(2):
        found = summary(desk.pool, days=7)
    assert found.count == 100
    assert found.total.percentiles == {50: 50_000, 90: 90_000, 95: 95_000, 99: 99_000}
    assert found.slowest == "boot"
    assert found.within == 0.6
    assert [point.median for point in found.points if point.median is not None]


@pytest.mark.parametrize("seed", range(50))
def test_percentiles_are_measured_values_in_order(seed):
    source = random.Random(seed)
    values = [source.randrange(100_000) for _ in range(source.randrange(1, 300))]
    found = percentiles(values)
    assert list(found.values()) == sorted(found.values())
    for share, value in found.items():
        assert value in values
        assert sum(one <= value for one in values) >= ceil(len(values) * share / 100)
    assert percentile(sorted(values), 100) == max(values)
    assert percentiles([]) == {}
