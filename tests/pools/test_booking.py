"""What is booked when: properties of the arithmetic, against counting minute by minute."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pools.aim import aim
from pools.booking import ALL, Interval, fits, free_in, free_until, next_free, peak
from pools.calendar import Rule, Sizes, Window

BEGIN = datetime(2026, 3, 29, tzinfo=UTC)


def at(minute: int) -> datetime:
    return BEGIN + timedelta(minutes=minute)


spans = st.tuples(st.integers(0, 60), st.integers(1, 30), st.sampled_from([1, 1, 1, ALL])).map(
    lambda span: Interval(at(span[0]), at(span[0] + span[1]), span[2])
)
booked = st.lists(spans, max_size=8)


def count(taken, minute: int) -> int:
    return sum(one.weight for one in taken if one.start <= at(minute) < one.end)


@given(booked, st.integers(0, 60), st.integers(1, 40))
def test_the_peak_is_the_most_of_any_minute(taken, start, length):
    assert peak(taken, at(start), at(start + length)) == max(count(taken, at_) for at_ in range(start, start + length))


@given(booked, st.integers(0, 60), st.integers(0, 60), st.integers(0, 4))
def test_one_more_fits_until_the_first_minute_that_is_full(taken, start, length, capacity):
    end = free_until(taken, at(start), at(start + length), capacity)
    full = [minute for minute in range(start, start + max(length, 1)) if count(taken, minute) >= capacity]
    assert end == (at(min(full)) if full else at(start + length))


@given(booked, st.integers(0, 60), st.integers(1, 30), st.integers(0, 4))
def test_the_next_free_time_is_the_first_that_fits(taken, after, length, capacity):
    found = next_free(taken, at(after), at(after + 100), timedelta(minutes=length), capacity)
    fitting = [
        minute
        for minute in range(after, after + 100)
        if capacity and all(count(taken, each) < capacity for each in range(minute, minute + length))
    ]
    assert found == (at(fitting[0]) if fitting else None)


@given(booked, st.integers(1, 3))
def test_whatever_is_booked_one_after_the_other_there_are_never_too_many(wishes, capacity):
    taken: list[Interval] = []
    for wish in wishes:
        one = Interval(wish.start, wish.end)
        if fits(taken, one.start, one.end, capacity):
            taken.append(one)
    assert all(count(taken, minute) <= capacity for minute in range(100))
    for minute in range(90):
        assert free_in(taken, at(minute), at(minute + 1), capacity) == capacity - count(taken, minute)


def test_what_ends_when_another_begins_is_not_at_once():
    taken = [Interval(at(0), at(10)), Interval(at(10), at(20))]
    assert peak(taken, at(0), at(20)) == 1
    assert next_free(taken, at(0), at(50), timedelta(minutes=5), 1) == at(20)
    assert next_free(taken, at(0), at(50), timedelta(0), 1) is None


def test_what_is_booked_soon_is_there_and_runs_whatever_the_schedule_says():
    small = Rule(Window(frozenset(range(7)), at(0).time(), at(0).time()), size=1, prestarted=0)
    base = Sizes(5, 0, 0)
    assert aim(base, [small], at(0), in_use=1, due=2).sizes == Sizes(3, 2, 0)
    assert aim(base, [], at(0), in_use=1, due=2).sizes == Sizes(5, 2, 0)
    assert aim(base, [], at(0), in_use=4, due=3).sizes == Sizes(5, 1, 0), "never more than the pool has"
    assert aim(Sizes(5, 3, 0), [], at(0), due=2).sizes == Sizes(5, 3, 0)
