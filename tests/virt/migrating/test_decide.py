"""Where a machine is after a move, for everything two hosts may say; and that no two copies are ever left running."""

import itertools
from datetime import UTC, datetime

import pytest

from broker.virt.driver import Observation, PowerState
from broker.virt.migrating.decide import Verdict, decide

AT = datetime(2026, 1, 1, tzinfo=UTC)


def seen(word: str) -> Observation | None:
    """A short way to write an observation: "running", "paused:migration", "" for a host that does not answer."""
    if not word:
        return None
    power, _, reason = word.partition(":")
    return Observation(uuid="m", name="m", power=PowerState(power), at=AT, reason=reason)


GOLDEN = [
    # source, target, seconds since it ended, verdict
    ("missing", "running:migrated", 0, Verdict.MOVED),
    ("off:migrated", "running:migrated", 0, Verdict.MOVED),
    ("missing", "running:postcopy", 0, Verdict.MOVED),
    ("missing", "paused:user", 0, Verdict.MOVED),
    ("missing", "paused:migration", 0, Verdict.WAIT),
    ("missing", "missing", 0, Verdict.WAIT),
    ("missing", "missing", 30, Verdict.STOPPED),
    ("off:shutdown", "missing", 30, Verdict.STOPPED),
    ("missing", "", 1000, Verdict.WAIT),
    ("running", "missing", 0, Verdict.STAYED),
    ("running:migration_canceled", "", 0, Verdict.STAYED),
    ("running", "paused:migration", 1, Verdict.WAIT),
    ("running", "paused:migration", 30, Verdict.END_TARGET),
    ("running", "running:migrated", 1, Verdict.WAIT),
    ("running", "running:migrated", 30, Verdict.END_SOURCE),
    ("paused:migration", "running:migrated", 1, Verdict.WAIT),
    ("paused:migration", "running:migrated", 30, Verdict.END_SOURCE),
    ("paused:migration", "missing", 1, Verdict.WAIT),
    ("paused:migration", "missing", 30, Verdict.RESUME_SOURCE),
    ("paused:migration", "", 1000, Verdict.WAIT),
    ("paused:user", "missing", 0, Verdict.STAYED),
    ("paused:user", "", 0, Verdict.STAYED),
    ("paused:postcopy", "running:postcopy", 100, Verdict.WAIT),
    ("paused:postcopy_failed", "running:postcopy", 100, Verdict.WAIT),
    ("paused:postcopy_failed", "", 100, Verdict.WAIT),
    ("paused:postcopy_failed", "missing", 0, Verdict.LOST),
    ("paused:postcopy_failed", "running:postcopy_failed", 700, Verdict.LOST),
    ("", "running:migrated", 0, Verdict.MOVED),
    ("", "running:postcopy", 10, Verdict.WAIT),
    ("", "paused:postcopy_failed", 700, Verdict.LOST),
    ("", "paused:migration", 1000, Verdict.WAIT),
    ("", "missing", 10, Verdict.WAIT),
    ("", "missing", 70, Verdict.STAYED),
    ("", "", 10_000, Verdict.WAIT),
]


@pytest.mark.parametrize(("source", "target", "quiet", "verdict"), GOLDEN)
def test_golden(source, target, quiet, verdict):
    assert decide(seen(source), seen(target), quiet) is verdict


EVERYTHING = ["", "missing", "off", "crashed", "running", "running:migrated", "running:postcopy", "paused:user",
              "paused:migration", "paused:postcopy", "paused:postcopy_failed", "suspended"]  # fmt: skip
TIMES = (0, 9, 11, 61, 601)


def test_a_copy_is_only_ended_or_resumed_where_the_other_is_known():
    for source, target, quiet in itertools.product(EVERYTHING, EVERYTHING, TIMES):
        verdict = decide(seen(source), seen(target), quiet)
        if verdict is Verdict.END_SOURCE:
            assert target.startswith("running") and source
        if verdict is Verdict.END_TARGET:
            assert target.startswith("paused") and source.startswith(("running", "paused"))
        if verdict is Verdict.RESUME_SOURCE:
            assert source == "paused:migration" and target in ("missing", "off", "crashed", "suspended")
        if verdict is Verdict.MOVED:
            assert target.startswith(("running", "paused")) and not source.startswith("running")
        if verdict is Verdict.STAYED:
            assert not target.startswith("running")


def test_with_both_hosts_there_every_case_comes_to_an_end():
    for source, target in itertools.product(EVERYTHING[1:], EVERYTHING[1:]):
        assert decide(seen(source), seen(target), 601) is not Verdict.WAIT
