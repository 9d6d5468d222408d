"""Sizing: for any pool whatsoever it stays within its bounds, touches nobody's desktop, and comes to rest."""

from dataclasses import replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from pools.sizing import IDLE_BEFORE_STOP, Limits, Plan, Seat, Wanted, plan, satisfied
from pools.states import DesktopState as S

HOSTS = [UUID(int=900), UUID(int=901)]


@st.composite
def seats(draw):
    found = []
    for number in range(1, draw(st.integers(0, 25)) + 1):
        busy = draw(st.booleans())
        power = draw(st.sampled_from(["off", "running", "suspended"]))
        work = draw(st.sampled_from(["other", "coming", "sleeping"])) if busy else ""
        found.append(
            Seat(
                id=UUID(int=number),
                number=number,
                state=draw(st.sampled_from(list(S))),
                running=power == "running",
                suspended=power == "suspended",
                busy=busy,
                coming=work == "coming",
                sleeping=work == "sleeping" and power == "running",
                ripe=draw(st.booleans()),
                host=draw(st.sampled_from([None, *HOSTS])),
                idle=draw(st.sampled_from([0.0, IDLE_BEFORE_STOP + 1])),
                waiting=draw(st.booleans()),
                protected=draw(st.booleans()),
            )
        )
    return found


@st.composite
def wishes(draw):
    size = draw(st.integers(0, 30))
    prestarted = draw(st.integers(0, size))
    return Wanted(
        size,
        prestarted,
        draw(st.integers(0, size - prestarted)),
        keep_saved=draw(st.booleans()),
        held_back=draw(st.booleans()),
        doubtful=draw(st.booleans()),
    )


limits = st.builds(
    Limits,
    builds=st.integers(1, 12),
    starts=st.integers(1, 12),
    removals=st.integers(1, 12),
    resets=st.integers(1, 12),
    suspends=st.integers(1, 12),
    starting_elsewhere=st.integers(0, 6),
    rooms=st.dictionaries(st.sampled_from(HOSTS), st.integers(-2, 6)),
)


def named(result: Plan) -> list[UUID]:
    return [
        *result.start, *result.suspend, *result.stop, *result.retire, *result.delete, *result.reset,
        *result.reset_running,
    ]  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(wishes(), seats(), limits)
def test_a_pass_is_bounded_and_touches_nobody(wanted, rows, most):
    result = plan(wanted, rows, most)
    by_id = {row.id: row for row in rows}
    touched = named(result)
    assert len(touched) == len(set(touched)), "one thing at a time to one desktop"
    for pk in touched:
        assert by_id[pk].state is not S.ASSIGNED
        assert not by_id[pk].busy
    counted = sum(row.state is not S.RETIRING for row in rows)
    assert counted + result.build <= max(wanted.size, counted), "never more than wanted"
    assert not any(by_id[pk].protected for pk in result.retire)
    assert counted - len(result.retire) >= min(wanted.size, counted), "never fewer than wanted"
    assert not (result.build and result.retire)
    assert not (result.start and result.stop)
    starting = sum(row.coming for row in rows)
    begun = result.starts
    assert begun == len(result.start) + result.build_running + len(result.reset_running)
    assert begun == 0 or starting + begun + most.starting_elsewhere <= most.starts
    for host, room in most.rooms.items():
        there = sum(by_id[pk].host == host for pk in (*result.start, *result.reset_running))
        assert there <= max(room, 0), "no host is asked to start more than it bears"
    assert all(by_id[pk].running and by_id[pk].ripe for pk in result.suspend), "nothing is suspended while it boots"
    assert not result.suspend or len(result.suspend) + sum(row.sleeping for row in rows) <= most.suspends
    if wanted.keep_saved:
        assert not any(by_id[pk].suspended for pk in result.stop), "saved memory that counts is not thrown away"
    assert result.build == 0 or result.build + sum(row.state is S.BUILDING for row in rows) <= most.builds
    assert len(result.retire) + len(result.delete) <= most.removals
    assert result.build_running <= result.build
    if wanted.held_back:
        assert not (result.build or begun)
    if wanted.doubtful:
        assert result.build <= 1
        assert begun <= 1
    assert all(by_id[pk].idle >= IDLE_BEFORE_STOP for pk in result.stop)


@settings(max_examples=150, deadline=None)
@given(wishes(), seats(), limits)
def test_doing_what_it_says_comes_to_rest(wanted, rows, most):
    wanted = Wanted(wanted.size, wanted.prestarted, wanted.suspended)
    most = replace(most, starting_elsewhere=0, rooms={})
    present = {row.id: done(row) for row in rows}
    fresh = 1000
    for _ in range(200):
        result = plan(wanted, list(present.values()), most)
        if result.restful:
            break
        for index in range(result.build):
            fresh += 1
            present[UUID(int=fresh)] = seat(fresh, S.FREE, running=index < result.build_running)
        for pk in (*result.retire, *result.delete):
            del present[pk]
        for pk in (*result.start, *result.reset_running):
            present[pk] = seat(present[pk].number, S.FREE, running=True)
        for pk in result.suspend:
            present[pk] = seat(present[pk].number, S.FREE, running=False, suspended=True)
        for pk in (*result.stop, *result.reset):
            present[pk] = seat(present[pk].number, S.FREE, running=False)
    else:
        raise AssertionError("it never comes to rest")
    end = list(present.values())
    assigned = sum(row.state is S.ASSIGNED for row in end)
    assert len(end) == max(wanted.size, assigned)
    free = [row for row in end if row.state is S.FREE]
    assert sum(row.running for row in free) == min(wanted.prestarted, len(free))
    assert sum(row.suspended for row in free) == min(wanted.suspended, max(len(free) - wanted.prestarted, 0))
    assert satisfied(wanted, end)


def done(row: Seat) -> Seat:
    """The row after its job, if it has one, has ended well."""
    states = {S.BUILDING: S.FREE}
    state = states.get(row.state, row.state)
    asleep = not row.coming and (row.suspended or row.sleeping)
    return seat(row.number, state, running=not asleep and (row.coming or row.running), suspended=asleep)


def seat(number: int, state: S, *, running: bool, suspended: bool = False) -> Seat:
    return Seat(
        UUID(int=number), number, state, running=running, suspended=suspended, ripe=True, idle=IDLE_BEFORE_STOP + 1
    )


def test_suspended_ones_are_woken_first_and_made_up_for():
    asleep = [seat(number, S.FREE, running=False, suspended=True) for number in (3, 4)]
    rows = [seat(1, S.FREE, running=False), seat(2, S.FREE, running=False), *asleep]
    first = plan(Wanted(4, prestarted=1, suspended=2), rows, Limits(starts=8))
    assert first.start == (UUID(int=3), UUID(int=1)), "3 is awake in seconds, 1 is to take its place on disk"
    assert not first.suspend
    rows[0], asleep[0] = seat(1, S.FREE, running=True), seat(3, S.FREE, running=True)
    then = plan(Wanted(4, prestarted=1, suspended=2), [*rows[:2], *asleep], Limits(starts=8))
    assert (then.suspend, then.start, then.stop) == ((UUID(int=1),), (), ())


def test_broken_and_unfinished_desktops_go_first():
    rows = [seat(1, S.FREE, running=True), seat(2, S.FREE, running=False), seat(3, S.BROKEN, running=False)]
    assert plan(Wanted(2), rows, Limits()).retire == (UUID(int=3),)
    assert plan(Wanted(1), rows, Limits()).retire == (UUID(int=3), UUID(int=2))
