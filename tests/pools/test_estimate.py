"""Estimates for who waits: in order, never better than the supply, and silent when nobody can tell."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pools.estimate import FEW, Supply, arrivals, median

seconds = st.floats(0, 10_000)
supplies = st.builds(
    Supply,
    coming=st.lists(seconds, max_size=6),
    unmade=st.integers(0, 8),
    at_once=st.integers(1, 4),
    making=st.none() | st.floats(1, 600),
    held=st.lists(seconds, max_size=8),
    stays=st.lists(seconds, max_size=12),
    turnover=st.floats(0, 100),
)


@settings(max_examples=200, deadline=None)
@given(supplies, st.integers(1, 30))
def test_who_stands_further_back_never_comes_sooner(supply, most):
    found = arrivals(supply, most)
    assert list(found) == sorted(found)
    assert all(value >= 0 for value in found)
    possible = len(supply.coming) + (supply.unmade if supply.making is not None else 0) + len(supply.held)
    assert len(found) <= (most if len(supply.stays) >= FEW else min(most, possible))
    assert arrivals(supply, most + 5)[: len(found)] == found


@settings(max_examples=200, deadline=None)
@given(supplies, seconds)
def test_one_more_desktop_makes_nobody_wait_longer(supply, soon):
    more = Supply(coming=[*supply.coming, soon], held=supply.held, stays=supply.stays, turnover=supply.turnover)
    before = arrivals(Supply(coming=supply.coming, held=supply.held, stays=supply.stays, turnover=supply.turnover), 30)
    after = arrivals(more, 30)
    assert len(after) >= len(before)
    assert all(new <= old for new, old in zip(after, before, strict=False))


def test_what_is_being_made_comes_in_waves():
    assert arrivals(Supply(coming=(5.0, 8.0), unmade=3, at_once=2, making=60.0), 9) == (5.0, 8.0, 120.0, 120.0, 180.0)


def test_those_in_use_count_by_how_long_people_kept_theirs():
    stays = [600.0] * 4 + [3600.0] * 4
    assert arrivals(Supply(held=(0.0, 0.0), stays=stays), 2) == (600.0, 3600.0)
    assert arrivals(Supply(held=(700.0,), stays=stays, turnover=30), 1) == (2930.0,), "it was kept for longer already"


def test_more_people_than_desktops_take_turns():
    supply = Supply(held=(0.0,), stays=[600.0] * 4, turnover=30)
    assert arrivals(supply, 3) == (630.0, 1260.0, 1890.0)


def test_nothing_is_said_from_too_little():
    assert arrivals(Supply(held=(10.0,), stays=[100.0] * (FEW - 1)), 1) == ()
    assert arrivals(Supply(unmade=5), 1) == ()
    assert median([]) is None
    assert median([3.0, 1.0, 2.0]) == 2.0
