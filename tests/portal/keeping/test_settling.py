"""After a restore nobody acts on what was true at the moment of the backup alone."""

from dataclasses import fields, replace
from datetime import timedelta

import pytest

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.plans import PLANS
from broker.jobs.runner import Runner
from broker.virt.driver import HostFacts
from broker.virt.ha import evidence, recovery
from broker.virt.ha.judge import Decision
from broker.virt.models import HaWatch, HostHealth, HostSign, Recovery, VirtualMachine
from broker.virt.monitor import facts
from broker.virt.states import RecoveryState
from pools.models import Desktop, Pool, Sitting
from pools.session_facts import Screens, facts_of, see
from pools.session_rules import Act, Rules, Step, Trigger, decide
from portal.keeping.settling import LOOK_FIRST, MOMENTARY, NOT_SEEN, POWER_FIRST, settle

pytestmark = pytest.mark.django_db


def job(plan, subject, *, state="running", position=0):
    now = clock.now()
    return Job.objects.create(
        plan=plan, title=plan, state=state, position=position, subject_kind="vm", subject_id=subject.pk, epoch=4,
        subject_name=str(subject), actor_name="root", worker="gone:1" if state == "running" else "",
        lease_until=now + timedelta(hours=1), next_run_at=now,
    )  # fmt: skip


@pytest.fixture
def vm(world):
    return VirtualMachine.objects.create(
        cluster=world.cluster, host=world.host, name="vm", state="ready", power_state="running", boot_id="x",
        observed_at=clock.now(),
    )  # fmt: skip


@pytest.mark.parametrize("plan", MOMENTARY)
def test_orders_of_that_moment_have_nothing_to_take_back(plan):
    assert all(step.undo is None for step in PLANS.get(plan).steps)


@pytest.mark.parametrize("plan", POWER_FIRST)
def test_what_begins_with_the_power_has_done_nothing_before(plan):
    assert PLANS.get(plan).steps[0].name == "power-off" and PLANS.get(plan).steps[0].undo is None


@pytest.mark.parametrize("plan", sorted({*MOMENTARY, *POWER_FIRST}))
@pytest.mark.parametrize("state", ["queued", "running", "waiting"])
def test_a_late_order_ends_without_a_step(vm, monkeypatch, plan, state):
    """Whatever the step: past the last exit too."""
    last = 0 if plan in POWER_FIRST else len(PLANS.get(plan).steps) - 1
    late = job(plan, vm, state=state, position=last)
    assert settle(clock.now())["cancelled"] == 1
    seen = []
    Runner(lambda plan, step, when: seen.append((step, when))).run(late.pk)
    late.refresh_from_db()
    assert late.state == "cancelled" and late.epoch == 5
    assert not [one for one in seen if one[1] != "undid"]
    vm.refresh_from_db()
    assert vm.state == "ready"


@pytest.mark.parametrize(("plan", "state", "position"), [
    ("vm.create", "running", 1), ("vm.revert", "running", 1), ("vm.start", "undoing", 0), ("vm.delete", "queued", 0),
])  # fmt: skip
def test_the_others_are_taken_over_after_the_hosts_were_looked_at(vm, plan, state, position):
    one = job(plan, vm, state=state, position=position)
    assert settle(clock.now()) == {"cancelled": 0, "going_on": 1}
    one.refresh_from_db()
    assert not one.cancel_requested and one.epoch == 4 and one.state == state
    assert one.lease_until <= clock.now() < one.next_run_at <= clock.now() + LOOK_FIRST
    Runner().run(one.pk)  # not yet
    one.refresh_from_db()
    assert one.epoch == 4


def test_a_cancel_past_the_last_exit_is_no_reason_to_begin_before_the_hosts_were_looked_at(vm):
    one = job("vm.delete", vm, position=len(PLANS.get("vm.delete").steps) - 1)
    Job.objects.filter(pk=one.pk).update(cancel_requested=True)
    assert settle(clock.now()) == {"cancelled": 0, "going_on": 1}
    one.refresh_from_db()
    assert one.state == "running" and one.next_run_at > clock.now()


def test_one_that_had_ended_stays_so(vm):
    done = job("vm.start", vm, state="succeeded", position=3)
    assert settle(clock.now()) == {"cancelled": 0, "going_on": 0}
    done.refresh_from_db()
    assert done.state == "succeeded" and not done.cancel_requested


@pytest.mark.parametrize("age", [timedelta(seconds=1), timedelta(days=40), timedelta(days=-1)])
def test_no_host_is_fenced_on_old_signs(world, vm, age):
    """Whether the backup is fresh, old, or of a computer whose clock was ahead."""
    then = clock.now() - age
    HaWatch.objects.create(pk=1, since=then - timedelta(days=2), looked_at=then)
    type(world.host).objects.filter(pk=world.host.pk).update(observed_at=then, error="it does not answer")
    HostSign.objects.create(host=world.host, source="lease", by="x", at=then, looked_at=then)
    HostHealth.objects.create(
        host=world.host, silent_since=then - timedelta(hours=1), asked_at=then, off_at=then, confirmed_at=then, epoch=3,
        seen={"libvirt": ["x", (then - timedelta(hours=1)).isoformat()]},
    )  # fmt: skip
    world.cluster.ha = {**world.cluster.ha, "fencing": True, "startup_seconds": 300}
    world.cluster.save()
    settle(then)
    for seconds in (0, 20, 200):
        (one,) = evidence.look(clock.now() + timedelta(seconds=seconds)).situations
        assert one.ruling.decision in (Decision.ALIVE, Decision.WAIT, Decision.HOLD), one.ruling
        assert not one.case.off and not one.case.confirmed and not one.case.lost
    assert HostHealth.objects.get().epoch == 3


def test_a_host_that_was_dead_is_judged_anew_and_nobody_restarts_elsewhere(world, vm):
    HostHealth.objects.create(host=world.host, lost_at=clock.now(), decision="dead", epoch=2)
    row = Recovery.objects.create(vm=vm, host=world.host, epoch=2)
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off", power_reason="host lost", available=True)
    settle(clock.now())
    row.refresh_from_db(), vm.refresh_from_db()
    assert row.state == RecoveryState.DROPPED and HostHealth.objects.get().lost_at is None
    # Found dead again, it is restarted: it is not taken for one that somebody switched off.
    assert vm.power_state == "unknown"


def test_a_crash_of_that_moment_restarts_nothing(world, vm):
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="crashed", available=True)
    settle(clock.now())
    recovery.run(clock.now())
    assert not Recovery.objects.exists() and not Job.objects.exists()


def test_what_was_to_start_with_its_host_then_is_not_started_now(world, vm):
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off", autostart=True, start_due=clock.now())
    settle(clock.now())
    vm.refresh_from_db()
    assert vm.autostart and vm.start_due is None


def test_what_was_off_by_its_users_wish_is_not_restarted_with_a_dead_host(world, vm):
    VirtualMachine.objects.filter(pk=vm.pk).update(power_state="off", power_reason="shutdown", available=True)
    settle(clock.now())
    vm.refresh_from_db()
    assert vm.power_state == "off"


def test_nothing_is_put_on_a_host_before_it_was_looked_at(world, vm):
    type(world.host).objects.update(ticked_seconds=10**9)
    settle(clock.now())
    world.host.refresh_from_db()
    assert world.host.error == NOT_SEEN
    seen = {"cpus": 8, "memory": 1 << 36, "memory_free": 1 << 36, "cpu_model": "", "uuid": "u", "hostname": "h"}
    words = {"hypervisor": "", "manager": "", "emulated": False, "ticked_seconds": 5}
    names = {one.name for one in fields(HostFacts)}
    facts.write(world.host, HostFacts(**{name: value for name, value in (seen | words).items() if name in names}))
    world.host.refresh_from_db()
    assert world.host.error == "" and world.host.rebooted_at is None and world.host.ticked_seconds == 5


def test_the_rules_of_a_pool_count_from_the_restore(world, vm):
    pool = Pool.objects.create(
        cluster=world.cluster, name="p", template=world.template, version=world.version, storage=world.storage,
        network=world.network,
    )  # fmt: skip
    then = clock.now() - timedelta(days=3)
    desktop = Desktop.objects.create(vm=vm, pool=pool, number=1, state="assigned", holder=world.alice, held_since=then)
    Sitting.objects.create(
        desktop=desktop, held_since=then, began_at=then, left_at=then, logged_off_at=then,
        acts={"lock": {"base": then.isoformat(), "at": then.isoformat(), "act": "lock", "order": "lock", "orders": 1}},
    )  # fmt: skip
    steps = (
        Step("a", Trigger.LEAVE, Act.GIVE_BACK, timedelta(minutes=30)),
        Step("b", Trigger.LONGEST, Act.LOG_OUT, timedelta(hours=8)),
        Step("c", Trigger.LOGOFF, Act.GIVE_BACK, timedelta(0)),
    )
    settle(then)
    now = clock.now()
    desktop = Desktop.objects.select_related("vm", "sitting").get()
    sitting = see(desktop, Screens(closed_at=then), now)
    known = facts_of(desktop, sitting, Screens(closed_at=then))
    assert not decide(Rules(steps), known, now + timedelta(minutes=29))
    assert [one.step.name for one in decide(Rules(steps[:2]), replace(known, running=True), now + timedelta(hours=9))]
