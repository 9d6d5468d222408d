"""The queue: first come first served, a place is kept by asking, and nobody waits for what cannot come."""

from datetime import timedelta

import pytest

from broker.core import clock
from broker.core.errors import Conflict, Missing, NoCapacity
from broker.directories.models import User
from broker.events.models import Event
from pools import queue
from pools.actions.allocate import Allocation, allocate
from pools.actions.delete_pool import delete_pool
from pools.actions.disentitle import disentitle
from pools.actions.edit_pool import edit_pool
from pools.actions.join_queue import join_queue
from pools.actions.leave_queue import leave_queue
from pools.actions.release import release
from pools.models import Assignment, Desktop, Pool, PoolWaiter
from pools.queue import Place
from pools.reconcile import reconcile_pool
from pools.taking import take_or_wait
from tests.jobs_help import run_all
from tests.pools.conftest import SYSTEM, settle

pytestmark = pytest.mark.django_db


@pytest.fixture
def taken(world, make_pool):
    """A pool of one, which Alice has; Bob, Charlie and Root may use it too."""
    queue._outlooks.clear()
    pool = make_pool(size=1, prestarted=1)
    settle(pool)
    allocate(actor=world.actor("alice"), pool=pool)
    world.grant(world.charlie, "pool-user", pool)
    return pool


def take(world, name: str, pool: Pool):
    return take_or_wait(allocate, actor=world.actor(name), pool=pool)


def give_back(world, name: str) -> None:
    release(actor=world.actor(name), desktop=Desktop.objects.get(holder__username=name))


def age(waiter: str, seconds: float) -> None:
    """The user asked last this long ago."""
    PoolWaiter.objects.filter(user__username=waiter).update(seen_at=clock.now() - timedelta(seconds=seconds))


def holders(pool: Pool) -> set[str]:
    return set(Desktop.objects.filter(pool=pool, holder__isnull=False).values_list("holder__username", flat=True))


def test_places_are_in_the_order_of_coming_and_kept_by_asking(world, taken):
    first, second = take(world, "bob", taken), take(world, "charlie", taken)
    assert (first.position, second.position, second.waiting) == (1, 2, 2)
    again = take(world, "bob", taken)
    assert (again.position, again.since) == (1, first.since)
    assert PoolWaiter.objects.count() == 2
    assert Event.objects.filter(kind="pool.queue.joined").count() == 2, "told once each"


def test_what_comes_free_goes_to_the_first_and_not_to_a_newcomer(world, taken):
    take(world, "bob", taken)
    take(world, "charlie", taken)
    give_back(world, "alice")
    while not Desktop.objects.filter(state="free").exists():
        run_all()
        # Seen free before anybody served the queue: a newcomer may not have it.
        taken.desktops.filter(state="resetting").update(state="free")
    newcomer = take(world, "root", taken)
    assert isinstance(newcomer, Place)
    assert newcomer.position == 3
    settle(taken)
    assert holders(taken) == {"bob"}
    came = take(world, "bob", taken)
    assert isinstance(came, Allocation)
    assert came.desktop.holder == world.bob
    assert take(world, "charlie", taken).position == 1
    assert not PoolWaiter.objects.filter(user=world.bob).exists()
    assert take(world, "bob", taken).desktop == came.desktop, "and no second one"


def test_who_has_gone_away_is_passed_over(world, taken):
    take(world, "bob", taken)
    take(world, "charlie", taken)
    age("bob", 76)
    assert take(world, "charlie", taken).position == 1
    give_back(world, "alice")
    settle(taken)
    assert holders(taken) == {"charlie"}
    assert not PoolWaiter.objects.filter(user=world.bob).exists()


def test_a_desktop_nobody_fetches_goes_back(world, taken):
    take(world, "bob", taken)
    give_back(world, "alice")
    settle(taken)
    assert holders(taken) == {"bob"}
    age("bob", 100)
    settle(taken)
    assert holders(taken) == {"bob"}, "it is kept for a while"
    age("bob", 121)
    settle(taken)
    assert holders(taken) == set()
    assert Desktop.objects.get().state == "free"
    assert Assignment.objects.filter(user=world.bob, reason="not fetched").count() == 1


def test_leaving_gives_up_the_place_and_what_came(world, taken):
    take(world, "bob", taken)
    take(world, "charlie", taken)
    assert leave_queue(actor=world.actor("bob"), pool=taken)
    assert not leave_queue(actor=world.actor("bob"), pool=taken)
    assert take(world, "charlie", taken).position == 1
    give_back(world, "alice")
    settle(taken)
    assert holders(taken) == {"charlie"}
    leave_queue(actor=world.actor("charlie"), pool=taken)
    settle(taken)
    assert holders(taken) == set()


def test_a_user_who_lost_the_right_waits_no_longer(world, taken):
    take(world, "charlie", taken)
    take(world, "bob", taken)
    disentitle(actor=SYSTEM, pool=taken, user=world.charlie)
    give_back(world, "alice")
    settle(taken)
    assert holders(taken) == {"bob"}
    with pytest.raises(Missing):
        take(world, "charlie", taken)
    assert Event.objects.filter(kind="pool.queue.left").count() == 1


def test_a_disabled_user_gets_nothing(world, taken):
    take(world, "charlie", taken)
    User.objects.filter(pk=world.charlie.pk).update(is_active=False)
    give_back(world, "alice")
    settle(taken)
    assert holders(taken) == set()
    assert not PoolWaiter.objects.exists()


def test_nobody_waits_for_what_cannot_come(world, make_pool):
    kept = make_pool(size=1, kind="manual")
    settle(kept)
    allocate(actor=world.actor("alice"), pool=kept)
    with pytest.raises(NoCapacity):
        take(world, "bob", kept)
    none = make_pool(name="none", size=0)
    with pytest.raises(NoCapacity):
        join_queue(actor=world.actor("bob"), pool=none)
    assert not PoolWaiter.objects.exists()


def test_a_queue_ends_with_its_pool_and_at_closing_time(world, taken):
    take(world, "bob", taken)
    edit_pool(actor=SYSTEM, pool=taken, hours=[_hours_that_are_not_now()])
    reconcile_pool(taken.pk)
    assert not PoolWaiter.objects.exists()
    with pytest.raises(Conflict) as refusal:
        take(world, "bob", taken)
    assert refusal.value.rule == "pool.hours"
    edit_pool(actor=SYSTEM, pool=taken, hours=[])
    take(world, "bob", taken)
    delete_pool(actor=SYSTEM, pool=taken, force=True)
    with pytest.raises(Conflict):
        take(world, "bob", taken)
    settle(taken)
    assert not Pool.objects.exists()
    assert not PoolWaiter.objects.exists()


def _hours_that_are_not_now() -> dict:
    day = (clock.now() + timedelta(days=3)).weekday()
    return {"days": [day], "start": "00:00", "end": "00:00", "zone": "UTC"}


def test_new_desktops_go_to_who_waits(world, make_pool):
    pool = make_pool(size=2)
    world.grant(world.charlie, "pool-user", pool)
    for name in ("alice", "bob", "charlie"):
        assert isinstance(take(world, name, pool), Place)
    settle(pool)
    assert holders(pool) == {"alice", "bob"}
    assert set(Desktop.objects.values_list("vm__power_state", flat=True)) == {"running"}, "and are started for them"


def test_the_estimate_comes_from_what_was_measured(world, taken):
    assert take(world, "bob", taken).seconds is None, "nobody ever gave one back"
    desktop = Desktop.objects.get()
    for minutes in (10, 20, 30):
        begin = clock.now() - timedelta(days=1, minutes=minutes)
        Assignment.objects.create(
            pool=taken, desktop=None, desktop_name="x", user=world.root, since=begin,
            until=begin + timedelta(minutes=minutes),
        )  # fmt: skip
    Desktop.objects.filter(pk=desktop.pk).update(held_since=clock.now() - timedelta(minutes=1))
    queue._outlooks.clear()
    place = take(world, "bob", taken)
    assert 25 * 60 <= place.seconds <= 31 * 60, "by then one is to be expected"
    after = take(world, "charlie", taken).seconds - place.seconds
    assert 20 * 60 <= after <= 22 * 60, "who comes first keeps it as long as people usually do"


def test_two_tabs_have_one_place(world, taken):
    places = [take(world, "bob", taken) for _ in range(3)]
    assert {place.position for place in places} == {1}
