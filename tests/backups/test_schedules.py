"""When backups are made, which stay, and what the duty does about them."""

import random
from datetime import UTC, datetime, time, timedelta
from uuid import UUID, uuid4

import pytest

from broker.backups import reconcile
from broker.backups.actions.create_schedule import create_schedule
from broker.backups.actions.edit_schedule import edit_schedule
from broker.backups.models import Backup, BackupSchedule
from broker.backups.retention import Entry, Keep, kept, next_run
from broker.core import clock
from broker.core.errors import Invalid
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.driver import NoSpace
from tests.jobs_help import run_all
from tests.virt.actions.stage import SYSTEM

DAILY = range(7)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


class TestTimes:
    def test_the_wall_clock_counts(self):
        assert next_run(DAILY, time(2, 0), "UTC", NOON) == datetime(2026, 3, 11, 2, tzinfo=UTC)
        assert next_run([0], time(2, 0), "Europe/Berlin", NOON) == datetime(2026, 3, 16, 1, tzinfo=UTC)
        assert next_run([1], time(12, 0), "UTC", NOON) == datetime(2026, 3, 17, 12, tzinfo=UTC)

    def test_where_the_clock_jumps(self):
        spring = datetime(2026, 3, 29, 0, tzinfo=UTC)
        assert next_run(DAILY, time(2, 30), "Europe/Berlin", spring) == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
        autumn = datetime(2026, 10, 25, 0, tzinfo=UTC)
        assert next_run(DAILY, time(2, 30), "Europe/Berlin", autumn) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


class TestKeeping:
    def test_last_daily_weekly_monthly(self):
        entries = [Entry(UUID(int=n), NOON - timedelta(days=n)) for n in range(100)]
        assert kept(entries, Keep(2), "UTC") == {UUID(int=0), UUID(int=1)}
        assert kept(entries, Keep(1, daily=3), "UTC") == {UUID(int=n) for n in range(3)}
        # the newest of this week, and the Sundays before
        assert kept(entries, Keep(1, weekly=3), "UTC") == {UUID(int=n) for n in (0, 2, 9)}
        assert kept(entries, Keep(1, monthly=2), "UTC") == {UUID(int=0), UUID(int=10)}
        assert kept(entries[:1], Keep(0), "UTC") == {UUID(int=0)}

    def test_whatever_the_rule_no_chain_breaks(self):
        rng = random.Random(7)
        for _ in range(200):
            entries: list[Entry] = []
            for n in range(rng.randint(1, 40)):
                parent = entries[-1].id if entries and rng.random() < 0.7 else None
                entries.append(Entry(uuid4(), NOON + timedelta(hours=7 * n), parent))
            keep = Keep(*(rng.randint(0, 4) for _ in range(4)))
            stay = kept(entries, keep, "Asia/Kathmandu")
            parents = {entry.id: entry.parent for entry in entries}
            assert entries[-1].id in stay
            assert all(parents[one] is None or parents[one] in stay for one in stay)


@pytest.fixture
def schedule(stage, target):
    vm = stage.make("web", start=True)
    return create_schedule(actor=SYSTEM, target=target, name="nightly", vms=[vm], full_every=3, keep_last=1,
                           keep_daily=0, keep_weekly=0, keep_monthly=0)  # fmt: skip


def come(schedule, n=1):
    for _ in range(n):
        BackupSchedule.objects.filter(pk=schedule.pk).update(next_run_at=clock.now() - timedelta(minutes=1))
        reconcile.reconcile()
        run_all()


def test_every_third_is_full_and_old_chains_go(schedule, files):
    come(schedule, 3)
    assert list(Backup.objects.order_by("created_at").values_list("kind", flat=True)) == [
        "full", "incremental", "incremental",
    ]  # fmt: skip
    come(schedule)  # a new chain: of the old one nothing is needed any more
    for _ in range(3):
        reconcile.reconcile()
        run_all()
    only = Backup.objects.get()
    assert only.kind == "full" and files() == {only.disks.get().volume}


def test_it_begins_once_and_makes_up_for_nights_that_passed(schedule):
    BackupSchedule.objects.filter(pk=schedule.pk).update(next_run_at=clock.now() - timedelta(days=4))
    assert (reconcile.run_due(), reconcile.run_due()) == (1, 0)
    schedule.refresh_from_db()
    assert schedule.next_run_at > clock.now()
    edit_schedule(actor=SYSTEM, schedule=schedule, enabled=False)
    BackupSchedule.objects.filter(pk=schedule.pk).update(next_run_at=clock.now() - timedelta(days=4))
    assert reconcile.run_due() == 0


def test_one_that_fails_is_an_error_that_names_its_schedule(stage, schedule):
    stage.sim.fail_next("begin_backup", NoSpace("The host has no space left", fix="-"))
    come(schedule)
    event = Event.objects.get(kind="backup.not-made")
    assert (event.severity, event.params["schedule"]) == ("error", "nightly")
    assert not Backup.objects.exists()


def test_what_nobody_works_on_is_ended(stage, schedule, files):
    come(schedule)
    backup = Backup.objects.get()
    lost = Backup.objects.create(
        target=backup.target, vm_key=backup.vm_key, vm_name="web", created_at=clock.now() - timedelta(hours=1)
    )
    assert reconcile.end_unfinished() == 1
    run_all()
    assert not Backup.objects.filter(pk=lost.pk).exists()
    assert Job.objects.filter(plan="backup.delete", state="succeeded").exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [("days", []), ("days", [7]), ("days", "all"), ("days", [True]), ("at", "25:00"), ("zone", "Mars/Olympus"),
     ("zone", 3), ("full_every", 0), ("keep_last", 0), ("keep_daily", -1), ("keep_monthly", 10**9), ("color", 1)],
)  # fmt: skip
def test_schedules_that_make_no_sense(stage, target, field, value):
    with pytest.raises(Invalid) as refused:
        create_schedule(actor=SYSTEM, target=target, name="x", **{field: value})
    assert refused.value.field == field
