"""A duty runs in one place at a time, comes round again after a failure, and is taken over from the dead."""

import sys
import threading
import types
from datetime import timedelta

import pytest
from django.db import connection

from broker.core import clock
from broker.jobs import duties
from broker.jobs.duties import HELD_SECONDS, Duty


@pytest.fixture
def chore(monkeypatch):
    """A module with a duty whose calls are counted and whose body a test can put in."""
    module = types.ModuleType("chores")
    module.calls, module.body = 0, lambda: None

    def sweep():
        module.calls += 1
        module.body()

    module.sweep = sweep
    monkeypatch.setitem(sys.modules, "chores", module)
    return module


def sweep(every: float = 0.0) -> bool:
    return duties.run("sweep", "chores.sweep", every)


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_runs(chore):
    """Fault F44 of docs/faults.md."""
    at_it, done = threading.Event(), threading.Event()

    def body():
        at_it.set()
        assert done.wait(10)

    chore.body = body
    first = threading.Thread(target=_in_a_thread, args=(sweep,))
    first.start()
    assert at_it.wait(10)
    assert sweep() is False
    done.set()
    first.join(10)
    chore.body = lambda: None
    assert sweep() is True
    assert chore.calls == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_that_begin_together_one_runs(chore):
    together, answers = threading.Barrier(6), []

    def try_it():
        together.wait(10)
        answers.append(sweep(every=60.0))

    threads = [threading.Thread(target=_in_a_thread, args=(try_it,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answers) == [False] * 5 + [True]
    assert chore.calls == 1


def _in_a_thread(function):
    from django.db import connection

    try:
        function()
    finally:
        connection.close()


def test_done_just_now_is_not_done_again(chore, db):
    assert sweep(every=60.0) is True
    assert sweep(every=60.0) is False
    Duty.objects.update(began_at=clock.now() - timedelta(seconds=31))
    assert sweep(every=60.0) is True


def test_a_failure_is_kept_and_comes_round_again(chore, db, caplog):
    def body():
        raise ValueError("no broom")

    chore.body = body
    assert sweep() is True
    assert Duty.objects.get(name="sweep").error == "ValueError: no broom"
    assert "Duty sweep failed" in caplog.text
    chore.body = lambda: None
    assert sweep() is True
    assert Duty.objects.get(name="sweep").error == ""


def test_a_dead_one_is_taken_over_when_its_time_is_up(chore, db):
    now = clock.now()
    Duty.objects.create(name="sweep", began_at=now, busy_until=now + timedelta(seconds=HELD_SECONDS))
    assert sweep() is False
    past = now - timedelta(seconds=HELD_SECONDS + 1)
    Duty.objects.update(began_at=past, busy_until=past + timedelta(seconds=HELD_SECONDS))
    assert sweep() is True


@pytest.mark.django_db(transaction=True)
def test_one_that_takes_long_is_not_taken_over(chore, monkeypatch):
    monkeypatch.setattr(duties, "HELD_SECONDS", 0.6)
    monkeypatch.setattr(duties, "_HOLDER", duties._Holder())  # the other may sleep for the seconds of before
    answers, began = [], clock.now()

    def body():
        while Duty.objects.get(name="sweep").busy_until < began + timedelta(seconds=1.2):
            answers.append(_sweep_in_a_thread())

    chore.body = body
    assert sweep() is True
    assert answers and not any(answers)


def _sweep_in_a_thread() -> bool:
    from concurrent.futures import ThreadPoolExecutor

    def ask():
        try:
            return sweep()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(ask).result(10)


def test_one_that_lost_its_turn_does_not_free_it_for_others(chore, db):
    """A frozen worker that comes back must not write over the row of the one that took over."""
    later = clock.now() + timedelta(seconds=HELD_SECONDS)

    def body():
        Duty.objects.update(began_at=later, busy_until=later)

    chore.body = body
    sweep()
    assert Duty.objects.get(name="sweep").busy_until == later


def test_every_duty_of_the_list_is_a_function_without_arguments():
    import inspect

    from broker.celery import DUTIES

    for every, path in DUTIES.values():
        assert every > 0
        inspect.signature(duties._function(path)).bind()
