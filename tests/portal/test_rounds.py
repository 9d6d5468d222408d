"""The duties of one process: each comes round again and again, and a long one holds up no other."""

import sys
import threading
import types

import pytest

from broker.jobs.duties import Duty
from portal.processes import rounds

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chores(monkeypatch):
    """Two duties: `quick` counts its calls, `slow` is at it until `let_go`."""
    module = types.ModuleType("rounds_chores")
    module.came, module.began, module.let_go = threading.Semaphore(0), threading.Event(), threading.Event()

    def slow():
        module.began.set()
        assert module.let_go.wait(120)

    module.quick, module.slow = module.came.release, slow
    monkeypatch.setitem(sys.modules, "rounds_chores", module)
    duties = {"quick": (0.05, "rounds_chores.quick"), "slow": (0.01, "rounds_chores.slow")}
    monkeypatch.setattr(rounds, "DUTIES", duties)
    return module


def test_a_long_one_holds_up_no_other(chores):
    going = rounds.Rounds()
    going.start()
    try:
        assert chores.began.wait(60)
        for _ in range(5):
            assert chores.came.acquire(timeout=60)
        assert going.alive
    finally:
        chores.let_go.set()
        going.stop()
    assert not going.alive
    assert set(Duty.objects.values_list("name", flat=True)) == {"quick", "slow"}


def test_one_that_fails_comes_round_again(chores, monkeypatch, caplog):
    failed = threading.Semaphore(0)

    def fail():
        failed.release()
        raise ValueError("no broom")

    chores.quick = fail
    chores.let_go.set()
    going = rounds.Rounds(threads=1)
    going.start()
    try:
        for _ in range(3):
            assert failed.acquire(timeout=60)
    finally:
        going.stop()
    assert "Duty quick failed" in caplog.text


def test_one_that_cannot_be_begun_ends_nothing(chores, monkeypatch):
    """A database that takes nothing for a while."""
    tried = threading.Semaphore(0)

    def refuse(name, path, every):
        tried.release()
        raise RuntimeError("disk full")

    monkeypatch.setattr(rounds.duties, "run", refuse)
    going = rounds.Rounds(threads=1)
    going.start()
    try:
        for _ in range(3):
            assert tried.acquire(timeout=60)
        assert going.alive
    finally:
        going.stop()


def test_it_stops_while_nothing_is_due(chores, monkeypatch):
    monkeypatch.setattr(rounds, "DUTIES", {"seldom": (3600.0, "rounds_chores.quick")})
    going = rounds.Rounds()
    going.start()
    going.stop()
    assert not going.alive
