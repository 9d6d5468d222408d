"""Chores: not doubled, not stopped by one that fails, and never in each other's way."""

import threading

from broker.virt.driver import Refused
from broker.virt.monitor.chores import Chores
from tests.virt.monitor.help import eventually


def test_a_key_is_not_doubled_and_a_slow_one_does_not_hold_up_the_rest():
    chores, gate, done = Chores("test", threads=2), threading.Event(), []
    chores.add("slow", lambda: (gate.wait(10), done.append("slow")))
    chores.add("slow", lambda: done.append("doubled"))
    chores.add("quick", lambda: done.append("quick"))
    eventually(lambda: done == ["quick"])
    gate.set()
    eventually(lambda: done == ["quick", "slow"])
    chores.add("slow", lambda: done.append("again"))
    eventually(lambda: done[-1] == "again")
    chores.stop()
    chores.add("late", lambda: done.append("late"))
    eventually(lambda: not any(thread.is_alive() for thread in chores._threads))
    assert done == ["quick", "slow", "again"]


def test_failures_are_survived():
    chores, done = Chores("test", threads=1), []

    def refuse() -> None:
        raise Refused("no")

    chores.add(1, refuse)
    chores.add(2, lambda: 1 / 0)
    chores.add(3, lambda: done.append(3))
    eventually(lambda: done == [3])
    chores.stop()
