"""Booking a desktop: what may be booked, by whom and when, and what it takes to change it."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from broker.core.errors import Conflict, Denied, Invalid, Missing, OverQuota
from broker.directories.actions.disable_user import disable_user
from broker.events.models import Event
from pools import booking_duty
from pools.actions.block_time import block_time
from pools.actions.book import book
from pools.actions.cancel_booking import cancel_booking
from pools.actions.delete_pool import delete_pool
from pools.actions.edit_pool import edit_pool
from pools.actions.move_booking import move_booking
from pools.actions.set_booking_rules import set_booking_rules
from pools.booked import rules_for
from pools.booking_calendar import free_times
from pools.booking_checks import local
from pools.models import Booking, BookingRules, Pool
from pools.queries import bookings, find_booking

from .booking_help import NOON, booked, hands, reserve  # noqa: F401
from .conftest import SYSTEM

pytestmark = pytest.mark.django_db


def state(booking: Booking) -> str:
    return Booking.objects.get(pk=booking.pk).state


def test_no_more_are_booked_at_once_than_there_are(world, booked, reserve, hands):  # noqa: F811
    pool = booked(2)
    reserve(pool, "alice", 60, 120)
    reserve(pool, "bob", 90, 150)
    with pytest.raises(Conflict) as refused:
        reserve(pool, "root", 100, 130)
    assert refused.value.rule == "booking.free"
    assert "as long is free from" in str(refused.value) and "14:00" in str(refused.value)
    assert [reason.rule for reason in refused.value.reasons] == ["booking.free"] * 2
    assert "alice" not in str(refused.value.as_dict()).lower(), "whose they are is nobody's business"
    reserve(pool, "root", 120, 150)
    assert Event.objects.filter(kind="booking.made").count() == 3


def test_fewer_may_be_booked_than_there_are(booked, reserve):  # noqa: F811
    pool = booked(3, capacity=1)
    reserve(pool, "alice", 60, 120)
    with pytest.raises(Conflict):
        reserve(pool, "bob", 60, 120)


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        (-60, -10, "start"), (-30, 60, "start"), (60, 60, "end"), (120, 60, "end"), (60, 80, "end"),
        (60, 10_000, "end"), (60 * 24 * 15, 60 * 24 * 15 + 60, "start"),
    ],
)  # fmt: skip
def test_times_that_cannot_be_booked(booked, reserve, start, end, field):  # noqa: F811
    with pytest.raises(Invalid) as refused:
        reserve(booked(), "alice", start, end)
    assert refused.value.field == field and refused.value.fix


@pytest.mark.parametrize("value", ["tomorrow", None, datetime(2026, 12, 1), datetime.max.replace(tzinfo=UTC)])
def test_what_is_no_moment(world, booked, hands, value):  # noqa: F811
    with pytest.raises(Invalid):
        book(actor=world.actor("alice"), pool=booked(), start=value, end=value)


def test_a_time_that_clocks_skip_is_none_and_one_that_comes_twice_is_its_first():
    with pytest.raises(Invalid, match="clocks go forward"):
        local(date(2026, 3, 29), time(2, 30), "Europe/Berlin")
    assert local(date(2026, 10, 25), time(2, 30), "Europe/Berlin") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert local(date(2026, 10, 25), time(3, 30), "Europe/Berlin") == datetime(2026, 10, 25, 2, 30, tzinfo=UTC)


def test_over_a_change_of_clocks_the_real_time_counts(world, booked, hands):  # noqa: F811
    pool = booked(1, longest=120, zone="Europe/Berlin", ahead=365)
    start = local(date(2027, 3, 28), time(1, 30), "Europe/Berlin")
    end = local(date(2027, 3, 28), time(3, 30), "Europe/Berlin")
    made = book(actor=world.actor("alice"), pool=pool, start=start, end=end)
    assert made.end - made.start == timedelta(hours=1)
    day = free_times(rules_for(pool), date(2027, 3, 28), days=1, user=world.alice.pk).hours[0]
    assert [day[hour].end - day[hour].start for hour in (1, 2, 3)] == [
        timedelta(hours=1),
        timedelta(0),
        timedelta(hours=1),
    ]
    assert [hour.free for hour in day[:5]] == [1, 0, 1, 0, 1]
    assert [hour.mine for hour in day[:5]] == [False, True, False, True, False]


def test_nobody_books_more_than_allowed_nor_twice_at_once(booked, reserve):  # noqa: F811
    pool = booked(3, per_person=2)
    reserve(pool, "alice", 60, 120)
    with pytest.raises(OverQuota, match="at once"):
        reserve(pool, "alice", 100, 140)
    reserve(pool, "alice", 120, 180)
    with pytest.raises(OverQuota) as refused:
        reserve(pool, "alice", 240, 300)
    assert refused.value.rule == "booking.per-person"


def test_only_who_manages_the_pool_books_for_others(world, booked, reserve):  # noqa: F811
    pool = booked()
    with pytest.raises(Denied):
        reserve(pool, "alice", 60, 120, user=world.bob)
    with pytest.raises(Missing):
        reserve(pool, "charlie", 60, 120)
    with pytest.raises(Conflict, match="no right"):
        reserve(pool, "root", 60, 120, user=world.charlie)
    assert reserve(pool, "root", 60, 120, user=world.bob).user == world.bob


def test_others_do_not_see_whose_it_is(world, booked, reserve):  # noqa: F811
    made = reserve(booked(), "alice", 60, 120)
    assert find_booking(world.actor("alice"), made.pk) == find_booking(world.actor("root"), made.pk) == made
    for who in ("bob", "charlie"):
        with pytest.raises(Missing):
            find_booking(world.actor(who), made.pk)
    assert list(bookings(world.actor("bob"), made.pool)) == []
    for act in (lambda: cancel_booking(actor=world.actor("bob"), booking=made),
                lambda: move_booking(actor=world.actor("bob"), booking=made, start=NOON, end=NOON)):  # fmt: skip
        with pytest.raises(Denied):
            act()


def test_a_booking_is_moved_within_what_is_free(world, booked, reserve, hands):  # noqa: F811
    pool = booked(cancel_until=30)
    made, _others = reserve(pool, "alice", 60, 120), reserve(pool, "bob", 180, 240)
    alice = world.actor("alice")
    moved = move_booking(actor=alice, booking=made, start=hands.at(90), end=hands.at(180))
    assert (moved.start, moved.end) == (hands.at(90), hands.at(180)), "its own old time is not in the way"
    with pytest.raises(Conflict, match="All desktops"):
        move_booking(actor=alice, booking=made, start=hands.at(150), end=hands.at(200))
    hands.go(61)
    for act in (lambda: move_booking(actor=alice, booking=made, start=hands.at(300), end=hands.at(360)),
                lambda: cancel_booking(actor=alice, booking=made)):  # fmt: skip
        with pytest.raises(Conflict) as refused:
            act()
        assert refused.value.rule == "booking.cancel-until"
    cancel_booking(actor=world.actor("root"), booking=made, reason="The room is closed")
    with pytest.raises(Conflict, match="moved any more"):
        move_booking(actor=alice, booking=made, start=hands.at(300), end=hands.at(360))


def test_what_is_cancelled_is_free_and_its_user_is_told_why(world, booked, reserve):  # noqa: F811
    pool = booked()
    made = reserve(pool, "alice", 60, 120)
    cancel_booking(actor=world.actor("root"), booking=made, reason="The room is closed")
    assert (state(made), Booking.objects.get().reason) == ("cancelled", "The room is closed")
    assert "The room is closed" in Event.objects.get(kind="booking.cancelled").message
    reserve(pool, "bob", 60, 120)
    with pytest.raises(Conflict):
        cancel_booking(actor=world.actor("root"), booking=made)


def test_what_nobody_comes_for_lapses_and_is_free(booked, reserve, hands):  # noqa: F811
    pool = booked(grace=15)
    made = reserve(pool, "alice", 60, 180)
    hands.go(74)
    assert booking_duty.run() == 0
    with pytest.raises(Conflict):
        reserve(pool, "bob", 80, 140)
    hands.go(75)
    reserve(pool, "bob", 80, 140)  # even before the duty has come round
    assert booking_duty.run() == 1
    assert state(made) == "lapsed"
    assert Event.objects.filter(kind="booking.lapsed").exists()


def test_who_is_disabled_has_no_bookings(world, booked, reserve):  # noqa: F811
    pool = booked()
    made = reserve(pool, "alice", 60, 120)
    disable_user(actor=world.actor("root"), user=world.alice)
    reserve(pool, "bob", 60, 120)
    booking_duty.run()
    assert state(made) == "cancelled"
    with pytest.raises(Conflict, match="disabled"):
        reserve(pool, "root", 200, 260, user=world.alice)


def test_a_blocked_time_is_free_of_bookings(world, booked, reserve, hands):  # noqa: F811
    pool, root = booked(3), world.actor("root")
    made = reserve(pool, "alice", 60, 120)
    with pytest.raises(Conflict) as refused:
        block_time(actor=root, pool=pool, start=hands.at(100), end=hands.at(200), reason="Cabling")
    assert [reason.params["user"] for reason in refused.value.reasons] == ["alice"]
    block = block_time(
        actor=root, pool=pool, start=hands.at(100), end=hands.at(200), reason="Cabling", cancel_others=True
    )
    assert (state(made), Booking.objects.get(pk=made.pk).reason) == ("cancelled", "Cabling")
    with pytest.raises(Conflict) as refused:
        reserve(pool, "bob", 150, 210)
    assert refused.value.reasons[0].rule == "booking.block"
    reserve(pool, "bob", 200, 260)
    hands.go(200)
    booking_duty.run()
    assert state(block) == "over"


def test_a_pool_is_not_shrunk_below_what_is_booked(booked, reserve):  # noqa: F811
    pool = booked(2)
    for who in ("alice", "bob"):
        reserve(pool, who, 60, 120)
    for shrink in (lambda: edit_pool(actor=SYSTEM, pool=pool, size=1),
                   lambda: set_booking_rules(actor=SYSTEM, pool=pool, capacity=1)):  # fmt: skip
        with pytest.raises(Conflict) as refused:
            shrink()
        assert (refused.value.rule, len(refused.value.reasons)) == ("booking.capacity", 2)
    with pytest.raises(Invalid):
        edit_pool(actor=SYSTEM, pool=pool, kind="manual")
    edit_pool(actor=SYSTEM, pool=pool, size=5)
    with pytest.raises(Conflict):
        set_booking_rules(actor=SYSTEM, pool=pool, booked=False)
    assert Pool.objects.get().booked and BookingRules.objects.get().capacity is None


def test_a_pool_is_deleted_with_bookings_only_by_force(booked, reserve):  # noqa: F811
    pool = booked()
    made = reserve(pool, "alice", 60, 120)
    with pytest.raises(Conflict, match="still to come"):
        delete_pool(actor=SYSTEM, pool=Pool.objects.get())
    delete_pool(actor=SYSTEM, pool=Pool.objects.get(), force=True)
    assert state(made) == "cancelled"
    with pytest.raises(Conflict, match="being deleted"):
        reserve(pool, "alice", 60, 120)


def test_hours_count(booked, reserve):  # noqa: F811
    hours = [{"days": [0, 1], "start": "08:00", "end": "14:00", "zone": "UTC"}]
    pool = booked(pool={"hours": hours})
    with pytest.raises(Conflict) as refused:
        reserve(pool, "alice", 90, 150)
    assert refused.value.rule == "pool.hours"
    reserve(pool, "alice", 60, 120)
    with pytest.raises(Conflict) as refused:
        reserve(pool, "bob", 60, 120)
    assert "Tuesday 1 December, 08:00" in str(refused.value), "free next, once it opens again"


@pytest.mark.parametrize(
    "values",
    [
        {"shortest": 0}, {"longest": -5}, {"longest": 10**9}, {"ahead": "7"}, {"grace": 0}, {"capacity": 0},
        {"zone": "Mars/Olympus"}, {"walk_in": "yes"}, {"booked": 1}, {"colour": 1}, {"shortest": 500, "longest": 400},
    ],
)  # fmt: skip
def test_rules_that_are_none(booked, values):  # noqa: F811
    with pytest.raises(Invalid) as refused:
        set_booking_rules(actor=SYSTEM, pool=booked(), **values)
    assert refused.value.fix


def test_a_pool_whose_users_keep_their_desktops_is_not_booked(booked):  # noqa: F811
    with pytest.raises(Invalid, match="stays with its user"):
        booked(pool={"kind": "manual"})


def test_a_pool_that_is_not_booked_says_so(world, booked, reserve):  # noqa: F811
    pool = booked()
    set_booking_rules(actor=SYSTEM, pool=pool, booked=False)
    with pytest.raises(Conflict) as refused:
        reserve(pool, "alice", 60, 120)
    assert refused.value.rule == "pool.booked"


def test_the_calendar_takes_the_same_queries(booked, reserve, django_assert_num_queries):  # noqa: F811
    pool = booked(5, per_person=50)
    rules = rules_for(pool)
    for count in range(2):
        for hour in range(5):
            reserve(pool, ("alice", "bob")[count], 60 * hour + 60, 60 * hour + 120)
        with django_assert_num_queries(1):
            week = free_times(rules, date(2026, 11, 30))
    assert [hour.free for hour in week.hours[0][12:19]] == [5, 3, 3, 3, 3, 3, 5]
    assert week.hours[0][11].past and len(week.times) == 7 * 24
