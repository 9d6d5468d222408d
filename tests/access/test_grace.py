"""Grace times of quotas: the judgement by properties, then claims and the duty over rows, then what is shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from broker.access.actions.edit_quota import edit_quota
from broker.access.grace import Answer, Terms, judge
from broker.access.models import Quota, QuotaOverrun
from broker.access.reconcile import watch_graces
from broker.access.usage import uses
from broker.core import clock
from broker.core.errors import OverQuota
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.actions.start_vm import start_vm
from broker.virt.models import VirtualMachine

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
AMOUNTS = st.integers(0, 30)
HOUR = timedelta(hours=1)


def _terms(limit: int, grace_percent: int, hours: int | None) -> Terms:
    return Terms(float(limit), limit * (100 + grace_percent) / 100, None if hours is None else hours * HOUR)


TERMS = st.builds(_terms, AMOUNTS, st.integers(0, 100), st.none() | st.integers(1, 48))
ACTS = st.lists(st.tuples(st.sampled_from(("take", "give", "wait", "watch")), AMOUNTS), max_size=30)


class TestJudgement:
    @given(TERMS, ACTS, st.booleans())
    def test_whatever_happens_nobody_grows_beyond_the_hard_limit_or_the_time(self, terms, acts, watched):
        """Plays takes, gives and waiting as `claim` and the duty do, and keeps a book of its own beside them."""
        used, since, now, over_since = 0, None, BEGAN, None
        for act, number in acts:
            if act == "take" and number:
                answer = judge(terms, before=used, need=number, since=since, now=now)
                # by the book: how long it has been over without a break
                late = terms.time is not None and over_since is not None and now - over_since >= terms.time
                assert (answer in (Answer.FITS, Answer.OVER)) == (
                    used + number <= terms.limit or (used + number <= terms.hard and not late)
                )
                if answer in (Answer.FITS, Answer.OVER):
                    if terms.begins(before=used, after=used + number, since=since):
                        since = now
                    used += number
            elif act == "give":
                used = max(0, used - number)
            elif act == "wait":
                now += number * HOUR
            elif watched and used <= terms.limit:
                since = None
            if used <= terms.limit:
                over_since = None
            elif over_since is None:
                over_since = now
            assert used <= max(terms.hard, terms.limit)
            if used > terms.limit and terms.time is not None:
                assert terms.ends(since) == over_since + terms.time

    @given(TERMS, AMOUNTS, AMOUNTS, AMOUNTS, st.integers(0, 60))
    def test_who_is_let_have_more_is_let_have_less(self, terms, before, need, less, hours):
        now = BEGAN + hours * HOUR
        if judge(terms, before=before, need=need, since=BEGAN, now=now) in (Answer.FITS, Answer.OVER):
            smaller = judge(terms, before=before, need=min(less, need), since=BEGAN, now=now)
            assert smaller in (Answer.FITS, Answer.OVER)

    @given(TERMS, AMOUNTS, AMOUNTS, st.integers(0, 10**6))
    def test_without_a_time_it_is_never_too_late(self, terms, before, need, hours):
        answer = judge(replace(terms, time=None), before=before, need=need, since=BEGAN, now=BEGAN + hours * HOUR)
        assert answer != Answer.TOO_LATE


@pytest.fixture
def at():
    """Set the time in hours after nine."""
    present = [BEGAN]
    clock.use(wall=lambda: present[0], steady_clock=lambda: (present[0] - BEGAN).total_seconds())

    def go(hours: float) -> None:
        present[0] = BEGAN + hours * HOUR

    yield go
    clock.restore()


def told() -> list[str]:
    return list(Event.objects.filter(kind__startswith="quota.").order_by("id").values_list("kind", flat=True))


def stopped(vm) -> None:
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off")


def started(scene, **machine):
    """A start that is let through, and has come to its end."""
    vm = scene.machine(**machine)
    start_vm(actor=scene.world.actor("root"), vm=vm)
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="running")
    Job.objects.filter(subject_id=vm.pk).update(state="succeeded")
    return vm


@pytest.mark.django_db
class TestRows:
    def test_over_it_for_so_long_then_no_more_until_it_is_within(self, scene, at):
        world = scene.world
        quota = Quota.objects.create(user=world.alice, running=2, grace_percent=100, grace_hours=24)
        mine = [started(scene, owner=world.alice) for _ in range(2)]
        assert told() == ["quota.threshold"] and not QuotaOverrun.objects.exists()
        at(1)
        mine.append(started(scene, owner=world.alice))
        assert told()[1:] == ["quota.grace-began"]
        event = Event.objects.get(kind="quota.grace-began")
        assert "allowed for 24 hours, until 2026-03-03 10:00 UTC" in event.message
        at(24.9)
        assert watch_graces() == 0
        mine.append(started(scene, owner=world.alice))
        with pytest.raises(OverQuota):  # the hard limit
            started(scene, owner=world.alice)
        stopped(mine.pop())
        at(25)
        assert watch_graces() == 1 and watch_graces() == 0 and told()[-1] == "quota.grace-over"
        with pytest.raises(OverQuota) as refused:
            started(scene, owner=world.alice)
        (reason,) = refused.value.reasons
        assert reason.rule == "quota.running" and "the time to be over the limit is up" in reason.message
        use = uses([quota])[quota.pk][0]
        assert (use.used, use.grace_ends_at) == (3, BEGAN + 25 * HOUR)
        stopped(mine.pop())
        assert watch_graces() == 1 and told()[-1] == "quota.grace-ended" and not QuotaOverrun.objects.exists()
        started(scene, owner=world.alice)
        assert QuotaOverrun.objects.get().since == clock.now()

    def test_a_claim_sees_that_a_grace_is_over_before_the_duty_does(self, scene, at):
        world = scene.world
        Quota.objects.create(user=world.alice, running=1, grace_percent=100, grace_hours=2)
        started(scene, owner=world.alice)
        second = started(scene, owner=world.alice)
        stopped(second)
        at(9)
        started(scene, owner=world.alice)
        assert QuotaOverrun.objects.get().since == BEGAN + 9 * HOUR

    def test_a_lowered_limit_begins_one_and_each_member_has_their_own(self, scene, at):
        world = scene.world
        world.staff.members.add(world.alice)
        quota = Quota.objects.create(group=world.staff, each=True, running=3, grace_percent=100, grace_hours=5)
        for owner in (world.alice, world.bob, world.bob):
            started(scene, owner=owner)
        edit_quota(actor=world.actor("root"), quota=quota, running=1)
        assert watch_graces() == 1
        assert QuotaOverrun.objects.get().user == world.bob
        at(6)
        with pytest.raises(OverQuota):
            started(scene, owner=world.bob)
        started(scene, owner=world.alice)
        assert {row.user for row in QuotaOverrun.objects.all()} == {world.alice, world.bob}
        edit_quota(actor=world.actor("root"), quota=quota, mode="off")
        watch_graces()
        assert not QuotaOverrun.objects.exists()

    def test_one_that_is_only_watched_tells_and_refuses_nothing(self, scene, at):
        world = scene.world
        Quota.objects.create(cluster=world.cluster, running=1, grace_percent=100, grace_hours=1, mode="audit")
        for _ in range(2):
            started(scene)
        at(3)
        watch_graces()
        started(scene)
        assert {"quota.grace-began", "quota.grace-over", "quota.exceeded"} <= set(told())

    def test_the_duty_costs_the_same_for_any_number(self, scene, at):
        world = scene.world

        def cost() -> int:
            with CaptureQueriesContext(connection) as queries:
                watch_graces()
            return len(queries)

        for number, owner in enumerate((world.alice, world.bob, world.charlie, world.root)):
            scene.machine(owner=owner, power="running")
            Quota.objects.create(user=owner, running=0, grace_percent=100, grace_hours=1)
            watch_graces()
            if number == 0:
                few = cost()
        assert QuotaOverrun.objects.count() == 4 and cost() == few


@pytest.mark.django_db
def test_the_time_left_is_shown_to_the_user_and_the_administrator(scene, at):
    world = scene.world
    quota = Quota.objects.create(user=world.alice, running=1, grace_percent=200, grace_hours=72)
    for _ in range(2):
        started(scene, owner=world.alice)
    at(2)

    def page(who: str, name: str, *args) -> str:
        client = Client()
        client.force_login(getattr(world, who))
        return client.get(reverse(f"portal:{name}", args=args)).content.decode()

    for name, who in (("home", "alice"), ("my-rights", "alice"), ("quotas", "root")):
        assert "over the limit, 2 d 22 h left" in page(who, name), name
    at(73)
    assert "the time for that is up" in page("alice", "home")
    form = page("root", "quota-edit", quota.pk)
    assert 'name="grace_hours"' in form and 'value="72"' in form
