"""A morning of two hundred users over the simulated driver, on a clock of its own.

Every kind of job takes its time; the pool is looked at every twenty seconds. At each of these moments is checked:
nobody waits while a desktop is free, nobody overtakes, and no more machines come up at once than the hosts bear.
"""

import random
from datetime import UTC, datetime, timedelta

import pytest

from broker.access.actor import Actor
from broker.core import clock
from broker.directories.models import Group, User
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.jobs.states import ACTIVE
from broker.virt.models import VirtualMachine
from pools import queue
from pools.actions.allocate import Allocation, allocate
from pools.actions.release import release
from pools.models import Desktop, Pool, PoolWaiter
from pools.queue import Place, waiting
from pools.reconcile import reconcile_pool
from pools.taking import take_or_wait
from pools.trouble import tag
from tests.pools.conftest import settle

pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.timeout(900)]
USERS, DESKTOPS, READY, STARTS = 200, 30, 10, 6
TICK = timedelta(seconds=20)
TAKES = {"vm.create": 60, "vm.start": 20, "vm.reset-disks": 10, "vm.suspend": 10}  # seconds
BEGIN = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


class Day:
    """The clock, the workers, and two hundred people with a coffee in their hand."""

    def __init__(self, world, pool: Pool):
        self.pool, self.now, self.random = pool, BEGIN, random.Random(7)
        clock.use(wall=lambda: self.now, steady_clock=lambda: (self.now - BEGIN).total_seconds())
        people = User.objects.bulk_create(
            User(directory=world.directory, username=f"user{number}", password="!") for number in range(USERS)
        )
        Group.objects.get(pk=world.staff.pk).members.add(*people)
        self.arrivals = sorted(
            (BEGIN + timedelta(minutes=self.random.triangular(8, 33, 18)), user.username, user) for user in people
        )
        self.people = {user.pk: user for user in people}
        self.leaves: list[tuple[datetime, Desktop]] = []
        self.joined: list[str] = []
        self.served: list[str] = []
        self.at_once = 0
        self.waits: dict[str, tuple[datetime, int | None]] = {}
        self.errors: list[tuple[float, float]] = []
        self.most_starting = 0

    def pass_time(self) -> None:
        self.now += TICK
        VirtualMachine.objects.filter(power_state="running", booted_at__isnull=True).update(booted_at=self.now)
        self._work()
        self._go_home()
        reconcile_pool(self.pool.pk)
        self._note_served()
        self._check()
        if self.now.second == 0:
            self._ask_again()
        self._come()

    def _work(self) -> None:
        """Jobs that have had their time are done."""
        for job in Job.objects.filter(state__in=ACTIVE).order_by("created_at"):
            if self.now - job.created_at >= timedelta(seconds=TAKES.get(job.plan, 5)):
                while Job.objects.filter(pk=job.pk, state__in=ACTIVE).update(next_run_at=self.now):
                    Runner().run(job.pk)

    def _go_home(self) -> None:
        for leave in [leave for leave in self.leaves if leave[0] <= self.now]:
            self.leaves.remove(leave)
            release(actor=Actor.for_user(self.people[leave[1].holder_id]), desktop=leave[1])

    def _come(self) -> None:
        while self.arrivals and self.arrivals[0][0] <= self.now:
            _, name, user = self.arrivals.pop(0)
            free = Desktop.objects.filter(pool=self.pool, state="free", vm__state="ready").count()
            queued = waiting(self.pool).count()
            found = self._take(user)
            assert isinstance(found, Allocation) or not free or queued, "one was free, and nobody was waiting"
            assert isinstance(found, Place) or not queued, "nobody overtakes"
            if isinstance(found, Place):
                assert found.position == queued + 1
                self.joined.append(name)
                self.waits[name] = (self.now, found.seconds)
            else:
                self.at_once += 1
                self._sit_down(found)

    def _ask_again(self) -> None:
        """What a waiting page does, here once a minute; who was served sits down."""
        for row in list(PoolWaiter.objects.filter(pool=self.pool).select_related("user")):
            found = self._take(row.user)
            if isinstance(found, Allocation):
                self._sit_down(found)

    def _take(self, user: User):
        return take_or_wait(allocate, actor=Actor.for_user(user), pool=self.pool)

    def _sit_down(self, found: Allocation) -> None:
        self.leaves.append((self.now + timedelta(minutes=self.random.uniform(3, 8)), found.desktop))

    def _note_served(self) -> None:
        rows = PoolWaiter.objects.filter(pool=self.pool, desktop__isnull=False).order_by("pk")
        for name in rows.exclude(user__username__in=self.served).values_list("user__username", flat=True):
            self.served.append(name)
            since, said = self.waits[name]
            if said is not None:
                self.errors.append((said, (self.now - since).total_seconds()))

    def _check(self) -> None:
        free = Desktop.objects.filter(pool=self.pool, state="free", vm__state="ready")
        if waiting(self.pool).exists():
            assert not free.exists(), "nobody waits beside a free desktop"
        coming = Job.objects.filter(state__in=ACTIVE, correlation=tag(self.pool))
        starting = coming.filter(plan="vm.start").count() + coming.filter(args__start=True).count()
        self.most_starting = max(self.most_starting, starting)
        assert starting <= STARTS


def test_a_morning_of_two_hundred(world, make_pool, settings):
    settings.STARTS_PER_HOST = STARTS
    queue._outlooks.clear()
    rule = {"days": [0, 1, 2, 3, 4], "start": "07:03", "end": "09:00", "zone": "UTC", "prestarted": READY}
    pool = make_pool(size=DESKTOPS, prestarted=1, suspended=1, schedule=[rule], max_per_user=1)
    try:
        day = Day(world, pool)
        settle(pool)
        while day.arrivals or day.leaves or PoolWaiter.objects.exists():
            day.pass_time()
            assert day.now < BEGIN + timedelta(hours=4), "the morning ends"
    finally:
        clock.restore()
    assert day.at_once + len(day.served) == USERS
    assert day.at_once >= DESKTOPS
    assert len(day.joined) >= 20, "it was a morning with a queue"
    assert day.served == day.joined, "first come first served"
    assert day.most_starting == STARTS, "and the hosts were used"
    assert len(day.errors) >= 10, "who waits is told for how long"
    kept = sum(took <= said * 1.5 + 60 for said, took in day.errors)
    assert kept >= 0.8 * len(day.errors), "and that was about right"
