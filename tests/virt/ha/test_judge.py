"""Golden verdicts: each was reasoned by hand from oVirt's gates. "decision:rule" for a host in a state of affairs."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.virt.ha.judge import Case, Decision, Evidence, Surroundings, judge
from broker.virt.ha.rules import SETTINGS, HaRules

QUIET = Case("h", schedulable=True, evidence=(Evidence("libvirt", 100.0),), silent=100.0, asked=True, devices=1)
CALM = Surroundings(watching_for=10_000.0, hosts=5, silent_hosts=1)


def sign(source: str, ago: float | None) -> Evidence:
    return Evidence(source, ago)


# what differs from: silent for 100 s, asked anew, one fence device; five hosts, one silent, watched for long
CASES = [
    ({"silent": 0.0}, {}, {}, "alive:alive"),
    ({"silent": 0.0, "lost": True}, {}, {}, "returned:returned"),
    ({}, {}, {}, "fence:fence"),
    ({"silent": 1.0}, {}, {}, "wait:connecting"),
    ({"silent": 59.9}, {}, {}, "wait:connecting"),
    ({"silent": 60.0}, {}, {}, "fence:fence"),
    ({"silent": 60.0, "machines": 1}, {}, {}, "wait:connecting"),  # half a second more for each machine
    ({"silent": 60.5, "machines": 1}, {}, {}, "fence:fence"),
    ({"silent": 100.0, "machines": 100}, {}, {}, "wait:connecting"),
    ({"silent": 110.0, "machines": 100}, {}, {}, "fence:fence"),
    ({"silent": 20.0}, {}, {"detect_seconds": 10}, "fence:fence"),
    ({"lost": True}, {}, {}, "dead:lost"),
    # what proves it, gates or not
    ({"confirmed": True}, {}, {}, "dead:confirmed"),
    ({"confirmed": True, "silent": 1.0}, {}, {}, "dead:confirmed"),
    ({"confirmed": True}, {"watching_for": 1.0}, {}, "dead:confirmed"),
    ({"confirmed": True}, {"silent_hosts": 5}, {}, "dead:confirmed"),
    ({"confirmed": True, "schedulable": False}, {}, {}, "dead:confirmed"),
    ({"confirmed": True, "silent": 0.0}, {}, {}, "alive:alive"),  # it answers: what was said is of no matter
    ({"off": True}, {}, {}, "dead:power-off"),
    ({"off": True, "silent": 5.0}, {}, {}, "dead:power-off"),
    ({"off": True, "silent": 0.0}, {}, {}, "alive:alive"),
    ({"off": True}, {"silent_hosts": 5}, {}, "dead:power-off"),
    # gates
    ({"schedulable": False}, {}, {}, "hold:maintenance"),
    ({}, {"watching_for": 299.0}, {}, "hold:startup"),
    ({}, {"watching_for": 300.0}, {}, "fence:fence"),
    ({"asked": False}, {"watching_for": 10.0}, {}, "hold:startup"),
    ({}, {"watching_for": 10.0}, {"startup_seconds": 0}, "fence:fence"),
    ({}, {"silent_hosts": 2}, {}, "fence:fence"),  # two of five
    ({}, {"silent_hosts": 3}, {}, "hold:silent-share"),
    ({}, {"silent_hosts": 2, "hosts": 4}, {}, "hold:silent-share"),
    ({}, {"silent_hosts": 1, "hosts": 2}, {}, "fence:fence"),  # one is never too many
    ({}, {"silent_hosts": 1, "hosts": 1}, {}, "fence:fence"),
    ({}, {"silent_hosts": 2, "hosts": 2}, {}, "hold:silent-share"),
    ({}, {"silent_hosts": 3}, {"silent_share_percent": 70}, "fence:fence"),
    ({}, {"silent_hosts": 2}, {"silent_share_percent": 30}, "hold:silent-share"),
    ({}, {"writable": False}, {}, "hold:database"),
    ({"silent": 0.0}, {"writable": False}, {}, "hold:database"),
    ({"confirmed": True}, {"writable": False}, {}, "hold:database"),
    # soft first
    ({"asked": False}, {}, {}, "ask:ask"),
    ({"asked": False, "devices": 0}, {}, {}, "ask:ask"),
    ({"asked": False, "evidence": (sign("asked", 5.0),)}, {}, {}, "hold:answers"),
    ({"asked": False, "evidence": (sign("asked", 70.0),)}, {}, {}, "ask:ask"),
    # other sources
    ({"evidence": (sign("agent", 5.0),)}, {}, {}, "hold:agent"),
    ({"evidence": (sign("agent", 59.0),)}, {}, {}, "hold:agent"),
    ({"evidence": (sign("agent", 60.0),)}, {}, {}, "fence:fence"),
    ({"evidence": (sign("agent", None),)}, {}, {}, "fence:fence"),
    ({"evidence": (sign("lease", 5.0),)}, {}, {}, "hold:lease"),
    ({"evidence": (sign("lease", 89.0),)}, {}, {}, "hold:lease"),
    ({"evidence": (sign("lease", 90.0),)}, {}, {}, "fence:fence"),
    ({"evidence": (sign("lease", 50.0),)}, {}, {"lease_seconds": 40}, "fence:fence"),
    ({"evidence": (sign("agent", 99.0), sign("lease", 5.0))}, {}, {}, "hold:lease"),
    ({"evidence": (sign("agent", 5.0), sign("lease", 99.0))}, {}, {}, "hold:agent"),
    ({"evidence": (sign("peer", 5.0),)}, {}, {}, "hold:peer"),
    ({"evidence": (sign("peer", 5.0),), "silent": 120.0}, {}, {}, "fence:fence"),  # cut off from us for too long
    ({"evidence": (sign("peer", 70.0),)}, {}, {}, "fence:fence"),
    ({"evidence": (sign("peer", 70.0), sign("peer", 5.0))}, {}, {}, "hold:peer"),
    # fencing itself
    ({}, {}, {"fencing": False}, "hold:fencing-off"),
    ({"devices": 0}, {}, {}, "hold:no-device"),
    ({"tried_ago": 10.0}, {}, {}, "hold:fence-tried"),
    ({"tried_ago": 60.0}, {}, {}, "fence:fence"),
    ({"tried_ago": 60.0}, {"fenced_ago": 60.0}, {}, "fence:fence"),  # its own try is no reason to wait
    ({}, {"fenced_ago": 179.0}, {}, "hold:quiet"),
    ({}, {"fenced_ago": 180.0}, {}, "fence:fence"),
    ({}, {"fenced_ago": 50.0}, {"quiet_seconds": 30}, "fence:fence"),
    # a lease that is over is enough for machines with a lease, where fencing cannot help
    ({"devices": 0, "evidence": (sign("lease", 95.0),)}, {}, {}, "leased:lease-over"),
    ({"evidence": (sign("lease", 95.0),)}, {}, {"fencing": False}, "leased:lease-over"),
    ({"tried_ago": 5.0, "evidence": (sign("lease", 95.0),)}, {}, {}, "leased:lease-over"),
    ({"evidence": (sign("lease", 95.0),)}, {"fenced_ago": 10.0}, {}, "leased:lease-over"),
    ({"devices": 0, "evidence": (sign("lease", 85.0),)}, {}, {}, "hold:lease"),
    ({"devices": 0, "evidence": (sign("lease", None),)}, {}, {}, "hold:no-device"),  # it never had one
    ({"devices": 0, "evidence": (sign("lease", 95.0),)}, {"watching_for": 9.0}, {}, "hold:startup"),
    ({"devices": 0, "evidence": (sign("lease", 95.0),)}, {"silent_hosts": 4}, {}, "hold:silent-share"),
    ({"devices": 0, "evidence": (sign("lease", 95.0), sign("agent", 1.0))}, {}, {}, "hold:agent"),
    ({"devices": 0, "evidence": (sign("lease", 95.0), sign("lease", 5.0))}, {}, {}, "hold:lease"),
    (
        {"devices": 0, "evidence": (replace(sign("lease", 95.0), still=89.0),)},
        {},
        {},
        "hold:no-device",
    ),  # not looked at
    ({"devices": 0, "evidence": (replace(sign("lease", 99.0), still=90.0),)}, {}, {}, "leased:lease-over"),
    ({"devices": 0, "evidence": (replace(sign("lease", 95.0), promise=50.0),)}, {}, {}, "hold:lease"),
    ({"devices": 0, "evidence": (replace(sign("lease", 101.0), promise=50.0),)}, {}, {}, "leased:lease-over"),
]


def test_there_are_many():
    assert len(CASES) >= 70


@pytest.mark.parametrize(("case", "around", "rules", "expected"), CASES)
def test_verdict(case, around, rules, expected):
    ruling = judge(replace(QUIET, **case), replace(CALM, **around), HaRules(**rules))
    assert f"{ruling.decision}:{ruling.rule}" == expected
    assert ruling.message % dict(ruling.params)


seconds = st.one_of(st.none(), st.floats(0, 1000))
cases = st.builds(
    Case,
    host=st.just("h"),
    schedulable=st.booleans(),
    evidence=st.lists(
        st.builds(Evidence, st.sampled_from(["libvirt", "agent", "lease", "peer", "asked"]), seconds), max_size=4
    ).map(tuple),
    silent=st.floats(0, 1000),
    machines=st.integers(0, 200),
    lost=st.booleans(),
    confirmed=st.booleans(),
    off=st.booleans(),
    asked=st.booleans(),
    tried_ago=seconds,
    devices=st.integers(0, 2),
)
surroundings = st.builds(
    Surroundings,
    watching_for=st.floats(0, 1000),
    hosts=st.integers(1, 9),
    silent_hosts=st.integers(0, 9),
    fenced_ago=seconds,
    writable=st.booleans(),
)


@settings(max_examples=400, deadline=None)
@given(case=cases, around=surroundings)
def test_nothing_is_cut_or_restarted_without_proof(case, around):
    """Whatever else is so: power is cut only after silence, grace and question; machines go only on proof."""
    rules = HaRules()
    ruling = judge(case, around, rules)
    if ruling.decision in (Decision.FENCE, Decision.LEASED, Decision.DEAD):
        assert case.silent > 0
        assert around.writable
    if ruling.decision is Decision.DEAD:
        assert case.lost or case.confirmed or case.off
    if ruling.decision in (Decision.FENCE, Decision.LEASED):
        assert case.schedulable
        assert case.asked
        assert case.silent >= rules.detect_seconds
        assert around.watching_for >= rules.startup_seconds
        assert around.silent_hosts < 2 or around.silent_hosts * 2 < around.hosts
        assert not any(one.fresh(rules.lease_seconds) for one in case.of("lease"))
        assert not any(one.fresh(rules.detect_seconds) for one in case.of("agent"))
    if ruling.decision is Decision.LEASED:
        assert case.of("lease")
    if ruling.decision is Decision.FENCE:
        assert case.devices


def test_the_table_and_the_values_are_one():
    assert HaRules.of({"detect_seconds": 9}).detect_seconds == 9
    for one in SETTINGS:
        one.check(one.default)
