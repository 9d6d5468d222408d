"""Having a desktop by a booking: who gets one when, when it goes back, and what is made ready before."""

from datetime import timedelta

import pytest

from broker.connections.models import Session
from broker.core.errors import Conflict, OverQuota
from broker.events.models import Event
from pools import booking_duty, session_duty
from pools.actions.allocate import allocate
from pools.actions.allocate_meta import allocate_meta
from pools.actions.assign import assign
from pools.actions.block_time import block_time
from pools.actions.create_meta_pool import create_meta_pool
from pools.actions.entitle import entitle
from pools.actions.extend_session import extend_session
from pools.actions.release import release
from pools.actions.set_booking_rules import set_booking_rules
from pools.actions.set_session_rules import set_session_rules
from pools.explain import explain_allocation
from pools.meta_taking import take_or_wait_meta
from pools.models import Booking, Desktop, Pool, PoolWaiter
from pools.queue import Place
from pools.reconcile import reconcile_pool
from pools.taking import take_or_wait

from .booking_help import booked, hands, reserve  # noqa: F401
from .conftest import SYSTEM, running, settle

pytestmark = pytest.mark.django_db


def connect(world, pool: Pool, who: str):
    return allocate(actor=world.actor(who), pool=Pool.objects.get(pk=pool.pk)).desktop


def state(booking: Booking) -> str:
    return Booking.objects.get(pk=booking.pk).state


def test_outside_a_booking_the_refusal_says_when(world, booked, reserve, hands):  # noqa: F811
    pool = booked()
    made = reserve(pool, "alice", 60, 120)
    with pytest.raises(Conflict) as refused:
        connect(world, pool, "alice")
    assert refused.value.rule == "pool.booking"
    assert "Your booking of Lab begins on Monday 30 November, 13:00 (UTC)" in str(refused.value)
    hands.go(61)
    with pytest.raises(Conflict) as refused:
        connect(world, pool, "bob")
    assert "the next free time begins on Monday 30 November, 14:00 (UTC)" in str(refused.value)
    assert refused.value.reasons[0].params == {"taken": 1, "capacity": 1}
    answer = explain_allocation(actor=world.actor("root"), pool=Pool.objects.get(), user=world.bob)
    assert answer.refusal.rule == "pool.booking"
    desktop = connect(world, pool, "alice")
    assert (state(made), desktop.holder) == ("taken", world.alice)
    assert connect(world, pool, "alice").pk == desktop.pk, "asking again gives the same one"
    assert Event.objects.filter(kind="booking.begun").exists()


def test_at_its_end_the_desktop_goes_to_who_booked_next(world, booked, reserve, hands):  # noqa: F811
    pool = booked(pool={"stateful": True})
    first, second = reserve(pool, "alice", 0, 60), reserve(pool, "bob", 60, 120)
    desktop = connect(world, pool, "alice")
    hands.go(59)
    assert session_duty.run() == 0, "nobody has been at its screen, and yet it has an end"
    hands.go(60)
    with pytest.raises(Conflict):
        set_booking_rules(actor=SYSTEM, pool=pool, booked=False)
    assert session_duty.run() == 1
    assert (state(first), Booking.objects.get(pk=first.pk).desktop_name) == ("over", desktop.vm.name)
    assert "the booked time was over" in Event.objects.get(kind="session.rule").message
    with pytest.raises(Conflict):
        connect(world, pool, "alice")
    assert connect(world, pool, "bob").pk == desktop.pk
    assert state(second) == "taken"


def test_who_waits_for_a_desktop_to_come_back_gets_it_by_the_booking(world, booked, reserve, hands):  # noqa: F811
    pool = booked(pool={"stateful": True})
    desktop = Desktop.objects.get()
    Desktop.objects.update(state="resetting")
    made = reserve(pool, "alice", 0, 60)
    found = take_or_wait(allocate, actor=world.actor("alice"), pool=Pool.objects.get())
    assert isinstance(found, Place)
    with pytest.raises(Conflict) as refused:
        take_or_wait(allocate, actor=world.actor("bob"), pool=Pool.objects.get())
    assert refused.value.rule == "pool.booking"
    Desktop.objects.update(state="free")
    reconcile_pool(pool.pk)
    assert (state(made), PoolWaiter.objects.get().desktop_id) == ("taken", desktop.pk)


def test_who_gives_it_back_leaves_the_rest_to_others(world, booked, reserve, hands):  # noqa: F811
    pool = booked(pool={"stateful": True})
    made = reserve(pool, "alice", 0, 120)
    desktop = connect(world, pool, "alice")
    hands.go(20)
    release(actor=world.actor("alice"), desktop=desktop)
    assert (state(made), Booking.objects.get().end) == ("over", hands.at(20))
    reserve(pool, "bob", 20, 80)
    assert connect(world, pool, "bob")


def test_what_no_booking_needs_may_be_taken_until_it_does(world, booked, reserve, hands):  # noqa: F811
    pool = booked(2, walk_in=True, shortest=30, longest=300)
    reserve(pool, "alice", 90, 150)
    reserve(pool, "root", 100, 150)
    desktop = connect(world, pool, "bob")
    walked = Booking.objects.get(kind="walk-in")
    assert (walked.user, walked.desktop_id, walked.end) == (world.bob, desktop.pk, hands.at(100))
    hands.go(65)
    release(actor=world.actor("bob"), desktop=desktop)
    hands.go(71)
    with pytest.raises(Conflict) as refused:
        connect(world, pool, "bob")
    assert refused.value.rule == "pool.booking" and len(refused.value.reasons) == 2


def test_the_end_is_warned_of_and_put_off_while_nobody_booked_what_follows(world, booked, reserve, hands):  # noqa: F811
    pool = booked(pool={"stateful": True})
    set_session_rules(actor=SYSTEM, pool=pool, warn_before=300, extension=1800, extensions=2)
    made = reserve(pool, "alice", 0, 60)
    desktop = connect(world, pool, "alice")
    Session.objects.create(user=world.alice, vm=desktop.vm, gateway="g1", opened_at=hands.at(1), state="open")
    session_duty.run()

    def extend():
        return extend_session(actor=world.actor("alice"), desktop=Desktop.objects.get(pk=desktop.pk))

    with pytest.raises(Conflict, match="No end of this session is near"):
        extend()
    hands.go(56)
    assert extend().extensions == 1
    assert Booking.objects.get(pk=made.pk).end == hands.at(90)
    with pytest.raises(Conflict, match="near"):
        extend()
    reserve(pool, "bob", 100, 160)
    hands.go(86)
    with pytest.raises(Conflict) as refused:
        extend()
    assert refused.value.rule == "booking.free"
    Booking.objects.filter(user=world.bob).delete()
    extend()
    hands.go(116)
    with pytest.raises(OverQuota):
        extend()
    hands.go(120)
    assert session_duty.run() == 1
    assert Desktop.objects.get().state == "free"
    assert Session.objects.get().close_reason == "time-limit"


def test_a_block_ends_what_was_begun_before(world, booked, reserve, hands):  # noqa: F811
    pool = booked(pool={"stateful": True})
    made = reserve(pool, "alice", 0, 120)
    connect(world, pool, "alice")
    block_time(actor=SYSTEM, pool=pool, start=hands.at(30), end=hands.at(60), reason="Cabling", cancel_others=True)
    hands.go(30)
    assert session_duty.run() == 1
    assert state(made) == "over"
    with pytest.raises(Conflict) as refused:
        connect(world, pool, "alice")
    assert refused.value.reasons[0].rule == "booking.block"


def test_an_administrator_gives_a_desktop_away_by_the_same_rule(world, booked, reserve, hands):  # noqa: F811
    pool, root = booked(2), world.actor("root")
    made = reserve(pool, "alice", 0, 60)
    first, second = Desktop.objects.order_by("number").select_related("vm", "pool")
    assign(actor=root, desktop=first, user=world.alice)
    assert state(made) == "taken"
    with pytest.raises(Conflict) as refused:
        assign(actor=root, desktop=second, user=world.bob)
    assert refused.value.rule == "pool.booking"


def test_who_has_a_desktop_when_bookings_are_switched_on_keeps_it_for_a_time(world, booked, hands):  # noqa: F811
    pool = booked(2)
    set_booking_rules(actor=SYSTEM, pool=pool, booked=False)
    desktop = connect(world, pool, "alice")
    set_booking_rules(actor=SYSTEM, pool=pool, booked=True, longest=90)
    kept = Booking.objects.get()
    assert (kept.user, kept.desktop_id, kept.end, kept.state) == (world.alice, desktop.pk, hands.at(90), "taken")
    set_booking_rules(actor=SYSTEM, pool=pool, booked=False)
    assert (state(kept), Desktop.objects.get(pk=desktop.pk).holder) == ("over", world.alice)


def test_who_was_let_in_as_bookings_were_switched_on_gets_an_end_too(world, booked, reserve, hands):  # noqa: F811
    pool = booked(shortest=30)
    reserve(pool, "alice", 45, 100)
    Desktop.objects.update(state="assigned", holder=world.bob, held_since=hands.now)
    assert booking_duty.run() == 1
    assert Booking.objects.get(user=world.bob).end == hands.at(45)
    assert booking_duty.run() == 0


def test_a_desktop_that_is_gone_ends_its_booking(world, booked, reserve, hands):  # noqa: F811
    pool = booked()
    made = reserve(pool, "alice", 0, 60)
    connect(world, pool, "alice").vm.delete()
    assert booking_duty.run() == 1
    assert state(made) == "over"


def test_through_a_meta_pool_the_booking_comes_first(world, booked, reserve, hands):  # noqa: F811
    north, south = booked(name="north", walk_in=True), booked(name="south")
    meta = create_meta_pool(actor=SYSTEM, name="office", pools=[north, south])
    for user in (world.alice, world.bob):
        entitle(actor=SYSTEM, pool=meta, user=user)
    reserve(south, "alice", 0, 60)
    given = allocate_meta(actor=world.actor("alice"), meta=meta)
    assert given.allocation.desktop.pool == south
    # Bob has none: he walks in where that is allowed, and leaves when it is not, without waiting for what is booked.
    assert allocate_meta(actor=world.actor("bob"), meta=meta).allocation.desktop.pool == north
    set_booking_rules(actor=SYSTEM, pool=north, walk_in=False)
    with pytest.raises(Exception, match="No pool of") as refused:
        take_or_wait_meta(allocate_meta, actor=world.actor("root"), meta=meta)
    assert {reason.rule for reason in refused.value.reasons} == {"pool.booking"}


def test_desktops_are_made_ready_before_their_bookings_begin(world, make_pool, reserve, hands):  # noqa: F811
    pool = make_pool(size=3)
    set_booking_rules(actor=SYSTEM, pool=pool, booked=True, capacity=2)
    settle(pool)
    assert running(pool) == 0
    for who in ("alice", "bob"):
        reserve(pool, who, 60, 120)
    hands.go(44)
    settle(pool)
    assert running(pool) == 0
    hands.now += timedelta(minutes=1)
    settle(pool)
    assert running(pool) == 2
    assert Pool.objects.get(pk=pool.pk).target["prestarted"] == 2
    hands.go(60)
    assert allocate(actor=world.actor("alice"), pool=Pool.objects.get(pk=pool.pk)).state == "ready"
