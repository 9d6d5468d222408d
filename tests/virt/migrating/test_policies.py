"""The migration policies step by step, and that what is remembered decides nothing but the next step."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.virt.driver import MigrationStats
from broker.virt.migrating.policies import (
    LEGACY,
    MINIMAL,
    POLICIES,
    POST_COPY,
    SUSPEND,
    VERY_LARGE,
    Course,
    Measure,
    Rules,
    next_measure,
)

MIB = 1 << 20


def taken(policy: str, stats: list[MigrationStats]) -> list[tuple[int, str, int]]:
    """What is done at which pass."""
    course, found = Course(), []
    for one in stats:
        measure, course = next_measure(one, POLICIES[policy], Course.of(course.stored()))
        if measure:
            found.append((one.passes, measure.kind, measure.downtime_ms))
    return found


def stuck(passes: int) -> list[MigrationStats]:
    """A guest whose memory changes as fast as it moves."""
    return [
        MigrationStats(total=64 * MIB, remaining=8 * MIB, passes=number, elapsed_ms=number * 1000)
        for number in range(1, passes + 1)
    ]


GOLDEN = {
    MINIMAL: [(2, "downtime", 150), (3, "downtime", 200), (4, "downtime", 300), (5, "downtime", 400),
              (7, "downtime", 500), (8, "abort", 0)],
    SUSPEND: [(2, "downtime", 150), (3, "downtime", 200), (4, "downtime", 300), (5, "downtime", 400),
              (7, "downtime", 500), (8, "downtime", 5000), (10, "abort", 0)],
    POST_COPY: [(2, "downtime", 150), (3, "downtime", 200), (4, "post-copy", 0)],
    VERY_LARGE: [(2, "downtime", 400), (3, "downtime", 500), (4, "downtime", 700), (5, "downtime", 1000),
                 (6, "downtime", 1500), (7, "downtime", 5000), (9, "abort", 0)],
    LEGACY: [],
}  # fmt: skip


@pytest.mark.parametrize("policy", GOLDEN)
def test_what_is_done_for_a_guest_that_does_not_converge(policy):
    assert taken(policy, stuck(12))[: len(GOLDEN[policy])] == GOLDEN[policy]


@pytest.mark.parametrize("policy", GOLDEN)
def test_nothing_is_done_while_less_and_less_is_left(policy):
    going = [
        MigrationStats(total=64 * MIB, remaining=(64 - number) * MIB, passes=number, elapsed_ms=number * 1000)
        for number in range(1, 60)
    ]
    assert taken(policy, going) == []


def test_looks_that_come_seldom_go_straight_to_the_latest_measure():
    first, *_, sixth = stuck(6)
    assert taken(MINIMAL, [first, sixth]) == [(6, "downtime", 400)]


def test_before_the_memory_was_looked_at_nothing_counts():
    assert taken(MINIMAL, [MigrationStats(elapsed_ms=90_000)] * 20) == []


def test_once_in_post_copy_nothing_is_done():
    late = [MigrationStats(total=MIB, remaining=MIB, passes=number, post_copy=True) for number in range(1, 30)]
    assert taken(POST_COPY, late) == []


def test_legacy_gives_up_after_four_minutes_without_progress_or_in_all_too_long():
    still = [
        MigrationStats(total=8 << 30, remaining=MIB, passes=1, elapsed_ms=second * 1000) for second in (1, 200, 242)
    ]
    assert taken(LEGACY, still) == [(1, "abort", 0)]
    slow = [MigrationStats(total=1 << 30, remaining=MIB - n, passes=1, elapsed_ms=n * 1000) for n in (1, 60, 63, 65)]
    assert taken(LEGACY, slow) == [(1, "abort", 0)]


looks = st.lists(st.tuples(st.integers(1, 64), st.integers(0, 3)), max_size=40)


@given(st.sampled_from(sorted(POLICIES)), looks)
def test_measures_never_go_back_and_none_follows_giving_up(policy, looks):
    passes, stats = 1, []
    for left, further in looks:
        passes += further
        stats.append(MigrationStats(total=64 * MIB, remaining=left * MIB, passes=passes, elapsed_ms=passes * 100))
    done = taken(policy, stats)
    downtimes = [downtime for _, kind, downtime in done if kind == "downtime"]
    assert downtimes == sorted(set(downtimes))
    kinds = [kind for _, kind, _ in done]
    assert "downtime" not in kinds[kinds.index("abort") :] if "abort" in kinds else True


def test_rules_have_defaults_and_a_policy_names_its_last_step():
    assert Rules.of({}) == Rules()
    assert Rules.of({"policy": SUSPEND, "gone": 1}).policy == SUSPEND
    assert POLICIES[MINIMAL].measures[-1] == Measure(7, "abort")
