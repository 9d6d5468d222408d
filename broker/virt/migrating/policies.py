"""The migration policies, after oVirt's, and what each does while a machine's memory changes faster than it moves.

A policy is data. Memory is gone through in passes; one that leaves no less to move than any before it is a stall.
`next_measure` counts stalls and says what to do now. Pure: what it knows of the past is what it returned last.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from broker.core.tables import Setting, complete
from broker.core.text import gettext_noop as N_
from broker.virt.driver import MigrationStats

LEGACY, MINIMAL, SUSPEND, POST_COPY, VERY_LARGE = (
    "legacy", "minimal-downtime", "suspend-if-needed", "post-copy", "very-large",
)  # fmt: skip
GIB = 1024**3


@dataclass(frozen=True, slots=True)
class Measure:
    """After `stalls`: allow this many ms of downtime, go over to post-copy, or give up."""

    stalls: int
    kind: Literal["downtime", "post-copy", "abort"]
    downtime_ms: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """`at_once`: how many machines may leave one host together. `most_seconds`: in all, for each GiB; 0: no limit.

    `parallel`: connections where the cluster does not say; `zero_copy`: memory goes to the network without being copied
    first, which encryption does not allow.
    """

    name: str
    title: str
    help: str
    at_once: int
    downtime_ms: int
    measures: tuple[Measure, ...] = ()
    auto_converge: bool = True
    compressed: bool = False
    post_copy: bool = False
    parallel: int = 0
    zero_copy: bool = False
    most_stalled_seconds: int = 0
    most_seconds: int = 0


def _downtimes(*steps: tuple[int, int]) -> tuple[Measure, ...]:
    return tuple(Measure(stalls, "downtime", downtime) for stalls, downtime in steps)


POLICIES = {
    policy.name: policy
    for policy in (
        Policy(
            MINIMAL, N_("Minimal downtime"),
            N_("The guest stands still for half a second at most; a machine too busy for that stays where it is."),
            at_once=2, downtime_ms=100,
            measures=(*_downtimes((1, 150), (2, 200), (3, 300), (4, 400), (6, 500)), Measure(7, "abort")),
        ),
        Policy(
            SUSPEND, N_("Suspend workload if needed"),
            N_("As above, but in the end the guest may stand still for five seconds."),
            at_once=1, downtime_ms=100, compressed=True,
            measures=(*_downtimes((1, 150), (2, 200), (3, 300), (4, 400), (6, 500), (7, 5000)), Measure(9, "abort")),
        ),
        Policy(
            POST_COPY, N_("Post-copy"),
            N_("A busy machine runs on the new host before its memory is there. It always arrives; but if a host or "
               "the network fails meanwhile, the machine is lost and has to be started anew."),
            at_once=2, downtime_ms=100, post_copy=True,
            measures=(*_downtimes((1, 150), (2, 200)), Measure(3, "post-copy")),
        ),
        Policy(
            VERY_LARGE, N_("Very large machines"),
            N_("For hundreds of GiB: over several connections, without copying memory on the way where it is not "
               "encrypted, and in the end the guest may stand still for five seconds."),
            at_once=1, downtime_ms=300, parallel=4, zero_copy=True,
            measures=(*_downtimes((1, 400), (2, 500), (3, 700), (4, 1000), (5, 1500), (6, 5000)), Measure(8, "abort")),
        ),
        Policy(
            LEGACY, N_("Legacy"),
            N_("No measures; the move is given up when nothing moves for four minutes, or it takes too long."),
            at_once=2, downtime_ms=500, auto_converge=False, most_stalled_seconds=240, most_seconds=64,
        ),
    )
}  # fmt: skip

SETTINGS = (
    Setting("policy", MINIMAL, N_("Migration policy"), choices=tuple((p.name, p.title) for p in POLICIES.values())),
    Setting("encrypted", True, N_("Encrypt what moves"), N_("Between hosts that have certificates.")),
    Setting("bandwidth_mib", 0, N_("Bandwidth of a migration, in MiB a second"), N_("0: as much as there is."),
            0, 1_000_000),
    Setting("at_once", 0, N_("Machines that leave a host at once"), N_("0: as the policy has it."), 0, 100),
    Setting("parallel", 0, N_("Parallel connections"), N_("0 or 1: one connection."), 0, 16),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rules:
    """A cluster's settings of migration as values."""

    policy: str = MINIMAL
    encrypted: bool = True
    bandwidth_mib: int = 0
    at_once: int = 0
    parallel: int = 0

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Rules":
        return cls(**complete(SETTINGS, stored))


@dataclass(frozen=True, slots=True)
class Course:
    """What is remembered of a move under way: the least that was left, in which pass and when, and what was done."""

    passes: int = 0
    least: int = 0
    least_ms: int = 0
    stalls: int = 0
    done: int = 0

    @classmethod
    def of(cls, stored: Mapping[str, int]) -> "Course":
        return cls(**stored)

    def stored(self) -> dict[str, int]:
        return asdict(self)


def next_measure(stats: MigrationStats, policy: Policy, so_far: Course) -> tuple[Measure | None, Course]:
    """What is to be done now, if anything, and what to remember for the next time."""
    course = _follow(stats, so_far)
    if stats.post_copy:
        return None, course
    if _too_long(stats, policy, course):
        return Measure(course.stalls, "abort"), course
    due = [index for index, measure in enumerate(policy.measures) if measure.stalls <= course.stalls]
    if not due or due[-1] < course.done:
        return None, course
    # Of several that came due since the last look, the latest says it all.
    return policy.measures[due[-1]], Course(course.passes, course.least, course.least_ms, course.stalls, due[-1] + 1)


def _follow(stats: MigrationStats, was: Course) -> Course:
    if not stats.total:
        return was  # nothing of its memory was looked at so far
    if not was.passes or stats.remaining < was.least:
        return Course(max(stats.passes, 1), stats.remaining, stats.elapsed_ms, was.stalls, was.done)
    stalled = max(stats.passes - was.passes, 0)
    return Course(max(stats.passes, was.passes), was.least, was.least_ms, was.stalls + stalled, was.done)


def _too_long(stats: MigrationStats, policy: Policy, course: Course) -> bool:
    stalled = policy.most_stalled_seconds and stats.elapsed_ms - course.least_ms > policy.most_stalled_seconds * 1000
    limit = policy.most_seconds * max(stats.total / GIB, 1.0) * 1000
    return bool(stalled or (limit and stats.elapsed_ms > limit))
