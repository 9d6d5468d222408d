"""Times of the week: clocks on walls, in zones, over the days on which they are changed."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.core.errors import Invalid
from pools.calendar import (
    Rule,
    Sizes,
    Window,
    checked_hours,
    checked_schedule,
    opening,
    read_rules,
    sizes_at,
)

BERLIN = ZoneInfo("Europe/Berlin")
WORKDAYS = frozenset(range(5))
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"]


def at(text: str, zone: ZoneInfo = BERLIN) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 59]))
windows = st.builds(
    Window, st.frozensets(st.integers(0, 6), min_size=1), start=times, end=times, zone=st.sampled_from(ZONES)
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))
numbers = st.none() | st.integers(0, 50)
rules = st.lists(st.builds(Rule, windows, size=numbers, prestarted=numbers, suspended=numbers), max_size=6)


def test_a_window_is_by_the_clock_on_the_wall_of_its_zone():
    window = Window(WORKDAYS, time(8), time(18), "Europe/Berlin")
    assert window.covers(at("2026-11-23T08:00"))
    assert not window.covers(at("2026-11-23T07:59:59"))
    assert not window.covers(at("2026-11-23T18:00"))
    assert not window.covers(at("2026-11-22T12:00")), "a Sunday"
    assert window.covers(at("2026-07-06T06:00", UTC)), "summer: eight o'clock in Berlin"
    assert not window.covers(at("2026-11-23T06:30", UTC)), "winter: half past seven in Berlin"


def test_a_window_past_midnight_belongs_to_the_day_on_which_it_begins():
    night = Window(frozenset({4}), time(22), time(6), "Europe/Berlin")  # Fridays
    assert night.covers(at("2026-11-27T23:00"))
    assert night.covers(at("2026-11-28T05:59"))
    assert not night.covers(at("2026-11-27T05:00"))
    whole = Window(frozenset({0}), time(0), time(0), "Europe/Berlin")
    assert whole.covers(at("2026-11-23T00:00"))
    assert whole.covers(at("2026-11-23T23:59"))
    assert not whole.covers(at("2026-11-24T00:00"))


def test_the_night_on_which_clocks_go_forward():
    # 2026-03-29 in Berlin: 02:00 becomes 03:00.
    day = frozenset({6})
    assert next(Window(day, time(1), time(4), "Europe/Berlin").spans(at("2026-03-29T00:00"))) == (
        at("2026-03-29T00:00", UTC),
        at("2026-03-29T02:00", UTC),
    ), "two hours only"
    inside = Window(day, time(2, 15), time(2, 45), "Europe/Berlin")
    assert inside.covers(at("2026-03-29T01:20", UTC)), "a time that is skipped is taken as an hour later"
    assert not inside.covers(at("2026-03-29T00:30", UTC))


def test_the_night_on_which_clocks_go_back():
    # 2026-10-25 in Berlin: 03:00 becomes 02:00, so that 02:30 comes twice.
    window = Window(frozenset({6}), time(2), time(3), "Europe/Berlin")
    assert window.covers(at("2026-10-25T00:30", UTC))
    assert window.covers(at("2026-10-25T01:30", UTC)), "the second time too"
    assert not window.covers(at("2026-10-25T02:00", UTC))


def test_a_rule_replaces_and_the_largest_wins():
    morning = Rule(Window(WORKDAYS, time(7), time(11), "Europe/Berlin"), prestarted=30)
    exams = Rule(Window(frozenset({0}), time(8), time(10), "Europe/Berlin"), size=60, prestarted=20, suspended=5)
    night = Rule(Window(frozenset(range(7)), time(20), time(5), "Europe/Berlin"), prestarted=0)
    base, all_of_them = Sizes(40, 5, 2), [morning, exams, night]
    assert sizes_at(base, all_of_them, at("2026-11-23T09:00")) == Sizes(60, 30, 5)
    assert sizes_at(base, all_of_them, at("2026-11-24T09:00")) == Sizes(40, 30, 2)
    assert sizes_at(base, all_of_them, at("2026-11-24T15:00")) == base
    assert sizes_at(base, all_of_them, at("2026-11-24T23:00")) == Sizes(40, 0, 2), "fewer than the pool's own, too"


@settings(max_examples=200, deadline=None)
@given(rules, moments, st.permutations(range(6)))
def test_sizes_are_sound_and_do_not_depend_on_the_order_of_rules(found, moment, order):
    base = Sizes(20, 3, 2)
    sizes = sizes_at(base, found, moment)
    assert 0 <= sizes.prestarted + sizes.suspended <= sizes.size
    shuffled = [found[index] for index in order if index < len(found)]
    assert sizes_at(base, shuffled, moment) == sizes
    given_sizes = [rule.size for rule in found if rule.window.covers(moment) and rule.size is not None]
    assert sizes.size == max(given_sizes, default=20)


@settings(max_examples=200, deadline=None)
@given(st.lists(windows, min_size=1, max_size=4), moments)
def test_an_opening_says_what_holds_until_it_changes(found, moment):
    state = opening(found, moment)
    assert state.open == any(window.covers(moment) for window in found)
    if state.changes is None:
        assert state.open, "every window comes round within a week"
        return
    assert state.changes > moment
    just_before, after = state.changes - timedelta(seconds=1), state.changes
    assert opening(found, after).open != state.open
    if just_before >= moment:
        assert opening(found, just_before).open == state.open


def test_without_hours_it_is_always_open():
    assert opening([], at("2026-11-23T03:00")).open


def test_what_is_kept_is_read_back():
    kept = checked_schedule(
        [{"days": [4, 0, 0], "start": "08:00", "end": "18:30", "zone": "Europe/Berlin", "size": 7}], largest=100
    )
    assert kept == [
        {"days": [0, 4], "start": "08:00", "end": "18:30", "zone": "Europe/Berlin", "size": 7, "prestarted": None,
         "suspended": None}
    ]  # fmt: skip
    assert read_rules(kept) == [Rule(Window(frozenset({0, 4}), time(8), time(18, 30), "Europe/Berlin"), size=7)]


GOOD = {"days": [0], "start": "08:00", "end": "18:00", "zone": "UTC"}


@pytest.mark.parametrize(
    "change",
    [
        {"days": []}, {"days": [7]}, {"days": ["0"]}, {"days": [True]}, {"days": None}, {"start": "8 o'clock"},
        {"start": None}, {"start": "08:00+01:00"}, {"end": "25:00"}, {"zone": "Mars/Olympus"},
        {"zone": "../etc/passwd"}, {"zone": ""}, {"zone": 3}, {"more": 1},
    ],
)  # fmt: skip
def test_times_that_cannot_be_are_refused(change):
    with pytest.raises(Invalid) as refusal:
        checked_hours([{**GOOD, **change}])
    assert refusal.value.field == "hours"
    assert refusal.value.fix


@pytest.mark.parametrize("rule", [{}, {"size": -1}, {"size": "many"}, {"size": True}, {"prestarted": 10**9}])
def test_rules_that_cannot_be_are_refused(rule):
    with pytest.raises(Invalid):
        checked_schedule([{**GOOD, **rule}], largest=100)


@pytest.mark.parametrize("value", ["x", 5, {"days": [0]}, [1], [GOOD] * 51])
def test_lists_that_are_none_are_refused(value):
    with pytest.raises(Invalid):
        checked_hours(value)
