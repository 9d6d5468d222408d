"""Counters become rates; the cost of a pass is bounded, and old samples go."""

from datetime import timedelta

import pytest

from broker.core import clock
from broker.virt import history
from broker.virt.driver import Counters, PowerState
from broker.virt.models import Sample, VirtualMachine
from tests.virt.monitor.help import machine, seen

pytestmark = pytest.mark.django_db


def with_counters(vm, seconds, base, **fields):
    counters = Counters(
        cpu_time_ns=base * 10**9, memory_used=7, disk_read=base * 100, disk_written=0, net_received=base, net_sent=None
    )
    return seen(vm, seconds, counters=counters, **fields)


def test_rates_are_per_second_and_cpu_of_all_processors(world):
    vm, meter = machine(world), history.Meter()
    assert meter.read([with_counters(vm, 0, 100)]) == []
    [reading] = meter.read([with_counters(vm, 10, 105)])
    assert (reading.cpu_percent, reading.memory_used) == (25, 7)  # 5 s of 10 s on two processors
    assert (reading.disk_read, reading.disk_written, reading.net_received, reading.net_sent) == (50, 0, 0, None)


def test_counters_of_another_run_say_nothing(world):
    vm, meter = machine(world), history.Meter()
    meter.read([with_counters(vm, 0, 100)])
    assert meter.read([with_counters(vm, 10, 1, boot_id="run-2")]) == []
    assert meter.read([seen(vm, 20, PowerState.OFF)]) == []
    assert meter.read([with_counters(vm, 30, 5, boot_id="run-2")]) == []
    [reading] = meter.read([with_counters(vm, 40, 4, boot_id="run-2")])
    assert reading.cpu_percent is None


def test_writes_of_a_pass_are_bounded_and_everyone_gets_a_turn(world, django_assert_max_num_queries):
    machines = [machine(world, f"m{number}", power_state="running") for number in range(250)]
    meter = history.Meter()
    meter.read([with_counters(vm, 0, 100) for vm in machines])
    readings = meter.read([with_counters(vm, 10, 105) for vm in machines])
    with django_assert_max_num_queries(12):
        meter.keep(readings)
    assert Sample.objects.count() == history.WRITTEN_PER_PASS
    meter.keep(readings)
    assert Sample.objects.values("vm").distinct().count() == 250
    assert VirtualMachine.objects.filter(cpu_percent=25).count() == 250


def test_foreign_machines_leave_no_samples(world):
    vm, meter = machine(world), history.Meter()
    meter.read([with_counters(vm, 0, 100)])
    readings = meter.read([with_counters(vm, 10, 105)])
    vm.delete()
    meter.keep(readings)
    assert not Sample.objects.exists()


def test_recent_and_purge(world, monkeypatch):
    monkeypatch.setattr(history, "PURGE_BATCH", 2)
    vm, now = machine(world), clock.now()
    ages = [1, 30, 59, 61, 119, 121, 500, 600]
    Sample.objects.bulk_create(Sample(vm=vm, at=now - timedelta(minutes=age)) for age in ages)
    assert [round((now - one.at).total_seconds() / 60) for one in history.recent(vm)] == [59, 30, 1]
    assert history.purge() == 3
    assert Sample.objects.count() == 5
