"""History of load: every minute kept once, hours and days made of minutes, and a table that stops growing."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from broker.core.errors import Invalid
from broker.virt.driver import HostFacts
from broker.virt.history import Reading
from broker.virt.loads import ranges, rollup
from broker.virt.loads.book import Book, write_machines
from broker.virt.models import HostLoad, LoadMark, MachineLoad
from broker.virt.models.load import Span
from tests.virt.monitor.help import machine

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
FACTS = HostFacts(
    uuid="u", hostname="h", hypervisor="q", manager="l", cpus=4, cpu_model="", memory=1000, memory_free=400,
    emulated=False,
)  # fmt: skip


@pytest.fixture
def now(monkeypatch):
    """`now(moment)`: that is the time."""

    def be(moment):
        monkeypatch.setattr("broker.core.clock.now", lambda: moment)

    be(NOON)
    return be


def reading(vm, cpu, *, cpus=0.0, net=None):
    return Reading(
        vm_id=vm.pk, at=NOON, cpu_percent=cpu, cpus=cpus, memory_used=100, disk_read=cpu * 10, disk_written=0,
        net_received=net, net_sent=net,
    )  # fmt: skip


def test_a_minute_is_written_when_it_is_over_with_average_and_highest(world, now):
    vm, stranger, book = machine(world), machine(world, "other"), Book(world.host.pk)
    book.learn(FACTS)
    book.note([reading(vm, 10, cpus=1.0), reading(stranger, 50, cpus=1.0)], {vm.pk}, idle=False)
    now(NOON + timedelta(seconds=40))
    book.note([reading(vm, 40, cpus=2.0)], {vm.pk}, idle=False)
    assert not MachineLoad.objects.exists()
    now(NOON + timedelta(seconds=61))
    book.note([], {vm.pk}, idle=True)
    row = MachineLoad.objects.get()
    assert (row.owner_id, row.at, row.span, row.slot) == (vm.pk, NOON, Span.MINUTE, 720)
    assert (row.cpu_avg, row.cpu_max, row.disk_read_avg, row.disk_read_max, row.net_in_avg) == (25, 40, 250, 400, None)
    host = HostLoad.objects.get()  # its own figures count what is not ours too
    assert (host.cpu_avg, host.cpu_max, host.memory_avg, host.disk_read_max) == (50, 50, 600, 600)


def test_a_machine_that_is_gone_leaves_nothing_and_hinders_nobody(world, now):
    vm, gone, book = machine(world), machine(world, "gone"), Book(world.host.pk)
    book.note([reading(vm, 10), reading(gone, 10)], {vm.pk, gone.pk}, idle=False)
    gone.delete()
    now(NOON + timedelta(minutes=1))
    book.note([], (), idle=True)
    assert [row.owner_id for row in MachineLoad.objects.all()] == [vm.pk]
    vm.delete()
    assert not MachineLoad.objects.exists()


def test_the_table_has_the_same_size_after_a_day(world, now):
    vm, other = machine(world), machine(world, "other")
    counts = []
    for minute in range(1500):
        figures = [(minute % 100, 1, 1, 1, 1, 1)]
        write_machines(NOON + timedelta(minutes=minute), {vm.pk: figures, other.pk: figures})
        counts.append(MachineLoad.objects.count() if minute in (1439, 1499) else 0)
    assert counts[1439] == counts[1499] == 2 * 1440
    now(NOON + timedelta(minutes=1499))
    moments, points = ranges.evenly(vm, ranges.RANGES["day"])
    assert (len(moments), moments[0], moments[-1]) == (
        1440,
        NOON + timedelta(minutes=60),
        NOON + timedelta(minutes=1499),
    )
    assert [point["cpu_avg"] for point in points] == [minute % 100 for minute in range(60, 1500)]


def test_one_statement_for_many_machines(world):
    machines = [machine(world, f"m{number}") for number in range(150)]
    with CaptureQueriesContext(connection) as queries:
        write_machines(NOON, {vm.pk: [(1, 2, 3, 4, 5, 6)] for vm in machines})
    assert sum("INSERT" in query["sql"] for query in queries) == 1
    assert MachineLoad.objects.count() == 150


def test_minutes_become_hours_and_hours_days(world, now):
    vm = machine(world)
    for minute, cpu in ((0, 10), (1, 30), (59, 80), (60, 100)):
        write_machines(NOON + timedelta(minutes=minute), {vm.pk: [(cpu, 1, None, 1, 1, 1)]})
    now(NOON + timedelta(minutes=61))
    rollup.roll_up()
    hours = MachineLoad.objects.filter(span=Span.HOUR).order_by("at")
    assert [(row.at, row.cpu_avg, row.cpu_max, row.disk_read_avg) for row in hours] == [
        (NOON, 40, 80, None), (NOON + timedelta(hours=1), 100, 100, None),
    ]  # fmt: skip
    [day] = MachineLoad.objects.filter(span=Span.DAY)
    assert (day.at, day.cpu_avg, day.cpu_max) == (NOON - timedelta(hours=12), 70, 100)
    rollup.roll_up()  # the same again
    assert MachineLoad.objects.exclude(span=Span.MINUTE).count() == 3


def test_what_was_missed_is_made_up_and_the_present_hour_grows(world, now):
    vm = machine(world)
    rollup.roll_up()
    for hour in range(5):
        write_machines(NOON + timedelta(hours=hour), {vm.pk: [(hour, 1, 1, 1, 1, 1)]})
    now(NOON + timedelta(hours=4, minutes=5))
    rollup.roll_up()
    hours = MachineLoad.objects.filter(span=Span.HOUR).order_by("at")
    assert [row.cpu_avg for row in hours] == [0, 1, 2, 3, 4]
    assert LoadMark.objects.get(name="machine-hour").until == NOON + timedelta(hours=3)  # late minutes still count
    write_machines(NOON + timedelta(hours=4, minutes=5), {vm.pk: [(10, 1, 1, 1, 1, 1)]})
    rollup.roll_up()
    assert hours.last().cpu_avg == 7


def test_old_slots_are_not_shown(world, now):
    vm = machine(world)
    write_machines(NOON, {vm.pk: [(5, 1, 1, 1, 1, 1)]})
    assert len(ranges.points(vm, ranges.RANGES["day"])) == 1
    now(NOON + timedelta(days=1))
    assert ranges.points(vm, ranges.RANGES["day"]) == []
    with pytest.raises(Invalid):
        ranges.range_called("yesterday")
