"""Where a machine is when a move is no longer under way, told from what both hosts say. Pure.

Exactly one copy must run in the end. A copy is only ended where the other is known to run or this one is known never
to have run; where a host does not answer and it matters, the answer is to wait.
"""

from enum import StrEnum

from broker.virt.driver import Observation, PowerState

SETTLES = 10.0  # seconds that two hypervisors get to end a move among themselves
GIVEN_UP = 60.0  # seconds until a host that does not answer is no longer waited for, where nothing depends on it
LONGEST_POST_COPY = 600.0
_POST_COPY = ("postcopy", "postcopy_failed")
_UP = (PowerState.RUNNING, PowerState.PAUSED)


class Verdict(StrEnum):
    WAIT = "wait"
    MOVED = "moved"
    STAYED = "stayed"
    END_SOURCE = "end-source"  # it runs on the target: the copy left on the source is ended
    END_TARGET = "end-target"  # it runs on the source: the copy that came to nothing is ended
    RESUME_SOURCE = "resume-source"  # it stood still for the switch that never came
    STOPPED = "stopped"  # it runs nowhere: the guest went off meanwhile
    LOST = "lost"  # its memory is half on one host and half on another, and one of them is gone


def decide(source: Observation | None, target: Observation | None, quiet: float) -> Verdict:
    """`source`, `target`: what each host says, None when it does not answer; `quiet`: seconds since the move ended."""
    if source is None:
        return _without_source(target, quiet)
    if source.power is PowerState.RUNNING:
        return _source_runs(target, quiet)
    if source.power is PowerState.PAUSED:
        return _source_stands(source.reason, target, quiet)
    return _source_is_off(target, quiet)


def _without_source(target: Observation | None, quiet: float) -> Verdict:
    if target is None:
        return Verdict.WAIT
    if target.power is PowerState.RUNNING:
        # It runs there only once the source has let go; with post-copy it may still need the source.
        if target.reason not in _POST_COPY:
            return Verdict.MOVED
        return Verdict.LOST if quiet > LONGEST_POST_COPY else Verdict.WAIT
    if target.power is PowerState.PAUSED:
        if target.reason in _POST_COPY:
            return Verdict.LOST if quiet > LONGEST_POST_COPY else Verdict.WAIT
        return Verdict.WAIT if target.reason == "migration" or quiet < GIVEN_UP else Verdict.MOVED
    return Verdict.STAYED if quiet > GIVEN_UP else Verdict.WAIT


def _source_runs(target: Observation | None, quiet: float) -> Verdict:
    if target is None or target.power not in _UP:
        return Verdict.STAYED
    if quiet < SETTLES:
        return Verdict.WAIT
    # Both run when the target's word that it does was lost on the way: the target has had the disks since.
    return Verdict.END_SOURCE if target.power is PowerState.RUNNING else Verdict.END_TARGET


def _source_stands(reason: str, target: Observation | None, quiet: float) -> Verdict:
    if reason in _POST_COPY:
        gone = target is not None and target.power not in _UP
        return Verdict.LOST if gone or quiet > LONGEST_POST_COPY else Verdict.WAIT
    if target is None:
        # Whether it was switched over is not known, and only one of the two may go on.
        return Verdict.WAIT if reason == "migration" else Verdict.STAYED
    if quiet < SETTLES:
        return Verdict.WAIT if target.power in _UP or reason == "migration" else Verdict.STAYED
    if target.power is PowerState.RUNNING:
        return Verdict.END_SOURCE
    if target.power is PowerState.PAUSED:
        return Verdict.END_TARGET
    return Verdict.RESUME_SOURCE if reason == "migration" else Verdict.STAYED


def _source_is_off(target: Observation | None, quiet: float) -> Verdict:
    if target is None:
        return Verdict.WAIT
    if target.power is PowerState.RUNNING:
        return Verdict.MOVED
    if target.power is PowerState.PAUSED:
        return Verdict.MOVED if quiet > SETTLES or target.reason == "user" else Verdict.WAIT
    return Verdict.STOPPED if quiet > SETTLES else Verdict.WAIT
