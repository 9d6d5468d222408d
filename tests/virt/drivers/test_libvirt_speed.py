"""How long the libvirt driver's verbs take on a private host. Limits are several times what an idle machine needs."""

import os
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

import pytest

from broker.virt.driver import PowerState
from tests.lab.fixtures import wait_for_power

pytestmark = pytest.mark.lab

# a busy machine is no reason to fail; the figures themselves are in docs/benchmarks.md
SLACK = float(os.environ.get("BERTH_SPEED_SLACK", "3"))


def median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def measure(count: int, call: Callable[[int], object]) -> float:
    """The median time of `count` calls, in milliseconds."""
    times = []
    for number in range(count):
        started = time.monotonic()
        call(number)
        times.append((time.monotonic() - started) * 1000)
    return median(times)


def test_define_and_overlay(connection, storage, guest_disk, make_machine):
    first = make_machine()
    specs = [replace(first, uuid=str(uuid.uuid4()), name=f"vm-{number}") for number in range(30)]
    defined = measure(30, lambda number: connection.define(specs[number]))
    again = measure(30, lambda number: connection.define(specs[number]))
    overlay = measure(30, lambda number: connection.create_volume(storage, f"o-{number}", backing=guest_disk))
    print(f"define_ms {defined:.1f}")
    print(f"overlay_ms {overlay:.1f}")
    assert defined < 10 * SLACK
    assert again < 5 * SLACK
    assert overlay < 20 * SLACK


def test_observing_200_machines(connection, make_machine):
    first = make_machine()
    for number in range(199):
        connection.define(replace(first, uuid=str(uuid.uuid4()), name=f"vm-{number:03}"))
    first_pass = measure(1, lambda number: connection.observe())
    later = measure(5, lambda number: connection.observe())
    print(f"observe_200_first_ms {first_pass:.1f}")
    print(f"observe_200_ms {later:.1f}")
    assert len(connection.observe()) == 200
    assert later < 200 * SLACK


def test_observing_running_machines(connection, make_machine):
    machines = [make_machine() for _ in range(8)]
    for machine in machines:
        connection.start(machine.uuid)
    for machine in machines:
        wait_for_power(connection, machine.uuid, PowerState.RUNNING)
    each = measure(5, lambda number: connection.observe()) / len(machines)
    print(f"observe_running_ms_each {each:.1f}")
    assert each < 20 * SLACK
