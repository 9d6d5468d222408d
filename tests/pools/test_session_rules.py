"""Session rules as arithmetic: what is due, when, and how often."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pools.session_rules import HARSHNESS, Act, Facts, Rules, Step, Trigger, ahead, decide, harsher, warned

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(minutes: float) -> datetime:
    return START + minutes * MINUTE


def step(trigger: Trigger, act: Act, minutes: float, name: str = "") -> Step:
    return Step(name or f"{trigger}-{act}", trigger, act, minutes * MINUTE)


LADDER = Rules(steps=(step(Trigger.LEAVE, Act.LOCK, 10, "leave"), step(Trigger.LEAVE, Act.GIVE_BACK, 30, "then")))

moments = st.integers(0, 600).map(at)
steps = st.builds(
    Step,
    st.sampled_from(["a", "b", "c", "d"]),
    st.sampled_from(Trigger),
    st.sampled_from(Act),
    st.integers(0, 300).map(lambda minutes: minutes * MINUTE),
)
rule_sets = st.lists(steps, max_size=4, unique_by=lambda one: one.name).map(lambda found: Rules(steps=tuple(found)))
fact_sets = st.builds(
    Facts,
    running=st.booleans(),
    connected=st.booleans(),
    began_at=st.none() | moments,
    left_at=st.none() | moments,
    input_at=st.none() | moments,
    logged_off_at=st.none() | moments,
    extended=st.integers(0, 60).map(lambda minutes: minutes * MINUTE),
)


def test_locks_after_ten_minutes_and_goes_back_after_thirty():
    facts = Facts(left_at=START)
    assert decide(LADDER, facts, at(9.9)) == ()
    (due,) = decide(LADDER, facts, at(10))
    assert (due.step.act, due.at, due.base) == (Act.LOCK, at(10), START)
    locked = Facts(left_at=START, done={"leave": START})
    assert decide(LADDER, locked, at(29)) == ()
    assert [one.step.act for one in decide(LADDER, locked, at(30))] == [Act.GIVE_BACK]


def test_the_harshest_comes_first_when_all_was_slept_through():
    assert [one.step.act for one in decide(LADDER, Facts(left_at=START), at(500))] == [Act.GIVE_BACK, Act.LOCK]


def test_who_comes_back_stops_it_and_leaving_again_begins_anew():
    assert decide(LADDER, Facts(connected=True, left_at=None, began_at=START), at(500)) == ()
    again = Facts(left_at=at(60), done={"leave": START})
    assert [one.step.act for one in decide(LADDER, again, at(70))] == [Act.LOCK]


def test_an_extension_puts_off_the_end_and_its_warning():
    rules = Rules(steps=(step(Trigger.LONGEST, Act.DISCONNECT, 60),), warn=5 * MINUTE)
    facts = Facts(connected=True, began_at=START)
    assert warned(rules, facts, at(54)) is None
    assert warned(rules, facts, at(55)).at == at(60)
    longer = Facts(connected=True, began_at=START, extended=30 * MINUTE)
    assert warned(rules, longer, at(60)) is None and decide(rules, longer, at(60)) == ()
    assert decide(rules, longer, at(90))


def test_nothing_is_done_to_a_guest_that_does_not_run_but_it_goes_back():
    off = Facts(running=False, left_at=START)
    assert [one.step.act for one in decide(LADDER, off, at(500))] == [Act.GIVE_BACK]


def test_what_comes_after_a_step_that_failed():
    facts = Facts(left_at=START, done={"leave": START})
    failed = decide(LADDER, Facts(left_at=START), at(10))[0]
    assert harsher(LADDER, facts, failed, at(10)).at == at(30)
    alone = Rules(steps=LADDER.steps[:1])
    assert harsher(alone, facts, failed, at(10)) is None


@given(rule_sets, fact_sets, moments)
def test_nothing_is_due_before_its_time_nor_forgotten_after(rules, facts, now):
    due, coming = decide(rules, facts, now), ahead(rules, facts, now)
    assert all(one.at <= now for one in due) and all(one.at > now for one in coming)
    assert {one.step.name for one in due}.isdisjoint(one.step.name for one in coming)
    end = max((one.at for one in coming), default=now)
    assert {one.step.name for one in decide(rules, facts, end)} >= {one.step.name for one in (*due, *coming)}


@given(rule_sets, fact_sets, moments)
def test_what_was_done_is_not_done_again(rules, facts, now):
    due = decide(rules, facts, now)
    after = Facts(
        running=facts.running, connected=facts.connected, began_at=facts.began_at, left_at=facts.left_at,
        input_at=facts.input_at, logged_off_at=facts.logged_off_at, extended=facts.extended,
        done={one.step.name: one.base for one in due},
    )  # fmt: skip
    assert decide(rules, after, now) == ()


@given(rule_sets, fact_sets, moments)
def test_the_order_is_by_harshness_and_nothing_is_never_done(rules, facts, now):
    due = decide(rules, facts, now)
    assert [HARSHNESS[one.step.act] for one in due] == sorted((HARSHNESS[one.step.act] for one in due), reverse=True)
    assert all(one.step.act is not Act.NOTHING for one in due)


@given(rule_sets, fact_sets, moments)
def test_a_person_at_the_screen_is_never_counted_as_away(rules, facts, now):
    if facts.connected:
        assert all(one.step.trigger is not Trigger.LEAVE for one in decide(rules, facts, now))
    else:
        assert all(one.step.trigger is not Trigger.IDLE for one in decide(rules, facts, now))
