"""Reasons: frozen, written down and read back, counted whole and named in a bounded number."""

from dataclasses import FrozenInstanceError

import pytest

from broker.core.errors import Conflict, Reason
from broker.core.reasons import MOST_NAMED, counted, named


def reason(number=1, rule="memory", **more):
    return Reason(f"host-{number}", rule, "%(free)s left", kind="host", id=number, words="too little", free=7, **more)


def test_a_reason_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        reason().subject = "other"


def test_what_is_written_down_reads_back():
    stored = reason().as_dict()
    assert Reason.of(stored).as_dict() == stored
    assert Reason.of(stored).message == "7 left"


def test_all_are_counted_and_some_named():
    many = [reason(number) for number in range(200)]
    error = Conflict("no", fix="wait", rule="placement", reasons=many)
    stored = error.as_dict()
    assert len(stored["reasons"]) == MOST_NAMED
    assert stored["counts"] == [{"kind": "host", "rule": "memory", "words": "too little", "count": 200}]


def test_a_rule_that_refused_one_among_many_is_named():
    many = [*(reason(number) for number in range(200)), reason(200, rule="state")]
    assert {one.rule for one in named(many)} == {"memory", "state"}
    assert len(named(many)) == MOST_NAMED
    assert [(one.rule, one.count) for one in counted(many)] == [("memory", 200), ("state", 1)]
