"""The forecast: counted from what was, never beyond it, rough where little is known."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from pools.aim import aim
from pools.calendar import Sizes
from pools.forecast import ENOUGH, HOUR, Cell, Forecast, Use, forecast, peaks, percentile

START = datetime(2026, 11, 2, tzinfo=UTC)  # a Monday
NOW = START + timedelta(weeks=3)


@st.composite
def pasts(draw):
    uses = []
    for _ in range(draw(st.integers(0, 25))):
        since = START + timedelta(minutes=draw(st.integers(-600, 21 * 24 * 60)))
        length = draw(st.none() | st.integers(1, 3000))
        uses.append(Use(since, None if length is None else since + timedelta(minutes=length)))
    return uses


def used_at(uses, moment):
    return sum(use.since <= moment and (use.until is None or use.until > moment) for use in uses)


@settings(max_examples=100, deadline=None)
@given(pasts(), st.integers(0, 21 * 24 * 60 - 1))
def test_a_peak_is_at_least_what_was_in_use_at_any_minute(uses, minute):
    found = peaks(uses, START, NOW)
    assert len(found) == 21 * 24
    assert found[minute // 60] >= used_at(uses, START + timedelta(minutes=minute))
    for hour, most in enumerate(found):
        edges = [START + hour * HOUR, *(use.since for use in uses)]
        inside = [edge for edge in edges if START + hour * HOUR <= edge < START + (hour + 1) * HOUR]
        assert most == max(used_at(uses, edge) for edge in inside), "and no more than was in use at some moment"


@settings(max_examples=60, deadline=None)
@given(pasts(), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))
def test_nothing_is_expected_that_never_was(uses, zone):
    made = forecast(uses, now=NOW, since=START, zone=zone)
    assert [len(day) for day in made.cells] == [24] * 7
    most = max(peaks(uses, START, NOW), default=0)
    assert all(0 <= cell.expected <= most for day in made.cells for cell in day)
    assert all(cell.samples >= ENOUGH for day in made.cells for cell in day)
    low, high = (forecast(uses, now=NOW, since=START, zone=zone, share=share) for share in (0.5, 1.0))
    for day in range(7):
        for hour in range(24):
            assert low.cells[day][hour].expected <= made.cells[day][hour].expected <= high.cells[day][hour].expected


@given(st.lists(st.integers(0, 100), min_size=1), st.floats(0.01, 1.0))
def test_a_percentile_is_a_sample_that_enough_do_not_exceed(samples, share):
    found = percentile(samples, share)
    assert found in samples
    assert sum(value <= found for value in samples) >= share * len(samples)
    assert sum(value < found for value in samples) < share * len(samples) or found == min(samples)


def test_a_pool_that_is_two_days_old_is_foreseen_from_similar_days():
    since = START + timedelta(hours=0)
    morning = [Use(since + timedelta(days=day, hours=9), since + timedelta(days=day, hours=17)) for day in range(4)]
    made = forecast(morning, now=START + timedelta(days=4), since=since)
    assert made.cells[4][10] == Cell(1, 4, "similar days"), "no Friday was seen yet"
    assert made.cells[4][20] == Cell(0, 4, "similar days")
    assert made.cells[6][10] == Cell(1, 4, "all days"), "nor a weekend"


def test_before_anything_was_seen_nothing_is_expected():
    made = forecast([], now=START, since=START)
    assert made.cells[0][0] == Cell(0, 0, "nothing")


def test_hours_are_those_of_the_zone():
    use = [Use(START + timedelta(weeks=week, hours=7), START + timedelta(weeks=week, hours=8)) for week in range(3)]
    made = forecast(use, now=NOW, since=START, zone="Europe/Berlin")
    assert made.cells[0][8].expected == 1, "seven in UTC is eight there in winter"
    assert made.cells[0][7].expected == 0


def flat(expected_by_hour: dict[int, int]) -> Forecast:
    day = tuple(Cell(expected_by_hour.get(hour, 0), 6, "hour") for hour in range(24))
    return Forecast((day,) * 7, "UTC")


def test_the_forecast_prepares_half_an_hour_before_and_only_raises():
    morning = flat({9: 30})
    base = Sizes(50, 2)
    assert aim(base, (), START.replace(hour=8, minute=15), foreseen=morning).sizes.prestarted == 2
    assert aim(base, (), START.replace(hour=8, minute=30), foreseen=morning).sizes.prestarted == 30
    assert aim(base, (), START.replace(hour=9, minute=10), foreseen=morning, in_use=25).sizes.prestarted == 5
    assert aim(base, (), START.replace(hour=9, minute=10), foreseen=morning, in_use=30).sizes.prestarted == 2
    assert aim(base, (), START.replace(hour=9, minute=10), foreseen=flat({9: 80})).sizes == Sizes(50, 50)
    assert aim(base, (), START.replace(hour=9)).foreseen is None


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 80), st.integers(0, 80))
def test_an_aim_fits_the_size_and_is_never_below_the_pool_s_own(size, prestarted, expected, in_use):
    own = Sizes(size, prestarted).fitting()
    found = aim(own, (), START.replace(hour=9), foreseen=flat({9: expected}), in_use=in_use).sizes
    assert found.size == size
    assert own.prestarted <= found.prestarted <= size
    assert found.prestarted <= max(own.prestarted, expected)
