"""The whole life of a pool over the simulated driver: made, taken from, given back, resized, deleted."""

import pytest

from broker.core.errors import Conflict, Denied, Missing, NoCapacity
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.models import VirtualMachine
from pools.actions.allocate import allocate
from pools.actions.delete_pool import delete_pool
from pools.actions.edit_pool import edit_pool
from pools.actions.release import release
from pools.models import Assignment, Desktop, Pool
from tests.jobs_help import run_all
from tests.pools.conftest import running, settle, states

pytestmark = pytest.mark.django_db


def test_a_pool_is_filled_and_prestarted(world, make_pool, hypervisor):
    pool = make_pool(size=5, prestarted=2)
    settle(pool)
    assert states(pool) == {"free": 5}
    assert running(pool) == 2
    names = set(VirtualMachine.objects.values_list("name", flat=True))
    assert names == {f"desk-{number}" for number in range(1, 6)}
    assert {one.name for one in hypervisor.observe()} == names


def test_taking_a_running_desktop_is_immediate_and_refills(world, make_pool):
    pool = make_pool(size=3, prestarted=1)
    settle(pool)
    jobs = Job.objects.count()
    got = allocate(actor=world.actor("alice"), pool=pool)
    assert (got.state, got.job) == ("ready", None)
    assert got.desktop.vm.power_state == "running"
    assert Job.objects.count() == jobs
    settle(pool)
    assert running(pool) == 2, "another one was started for the next user"
    assert Assignment.objects.get(until=None).user == world.alice


def test_taking_again_gives_the_same_desktop(world, make_pool):
    pool = make_pool(size=3)
    settle(pool)
    first = allocate(actor=world.actor("alice"), pool=pool)
    assert first.state == "starting"
    assert first.job.plan == "vm.start"
    again = allocate(actor=world.actor("alice"), pool=pool)
    assert (again.desktop, again.job) == (first.desktop, first.job)
    run_all()
    third = allocate(actor=world.actor("alice"), pool=pool)
    assert (third.desktop, third.state) == (first.desktop, "ready")
    assert Assignment.objects.count() == 1


def test_two_users_get_two_desktops_and_a_third_is_told_why(world, make_pool):
    pool = make_pool(size=2)
    settle(pool)
    one = allocate(actor=world.actor("alice"), pool=pool).desktop
    two = allocate(actor=world.actor("bob"), pool=pool).desktop
    assert one != two
    world.grant(world.charlie, "pool-user", pool)
    with pytest.raises(NoCapacity) as refusal:
        allocate(actor=world.actor("charlie"), pool=pool)
    assert "2" in refusal.value.message
    assert [reason.message for reason in refusal.value.reasons] == ["alice has it", "bob has it"]
    assert [(one.rule, one.count) for one in refusal.value.counts] == [("desktop.assigned", 2)]
    assert refusal.value.fix
    assert Event.objects.filter(kind="pool.exhausted", actor=world.charlie).count() == 1


def test_who_is_not_entitled_learns_nothing(world, make_pool):
    pool = make_pool(size=1)
    with pytest.raises(Missing):
        allocate(actor=world.actor("charlie"), pool=pool)


def test_a_stateless_desktop_is_reset_alone(world, make_pool):
    pool = make_pool(size=2, prestarted=1)
    settle(pool)
    got = allocate(actor=world.actor("alice"), pool=pool).desktop
    settle(pool)
    disks = dict(got.pool.desktops.values_list("pk", "vm__disks__volume"))
    release(actor=world.actor("alice"), desktop=got)
    got.refresh_from_db()
    assert (got.state, got.holder) == ("resetting", None)
    settle(pool)
    got.refresh_from_db()
    assert got.state == "free"
    after = dict(pool.desktops.values_list("pk", "vm__disks__volume"))
    assert after[got.pk] != disks[got.pk]
    assert {pk: after[pk] for pk in after if pk != got.pk} == {pk: disks[pk] for pk in disks if pk != got.pk}
    past = Assignment.objects.get()
    assert past.until is not None
    assert running(pool) == 1


def test_a_stateful_desktop_stays_as_it_is(world, make_pool):
    pool = make_pool(size=1, stateful=True)
    settle(pool)
    got = allocate(actor=world.actor("alice"), pool=pool).desktop
    run_all()
    release(actor=world.actor("alice"), desktop=got)
    got.refresh_from_db()
    assert got.state == "free"
    assert not Job.objects.filter(plan="vm.reset-disks").exists()
    assert running(pool) == 1


def test_switching_it_off_gives_it_back(world, make_pool, hypervisor):
    from broker.virt.observe import apply

    pool = make_pool(size=1)
    settle(pool)
    got = allocate(actor=world.actor("alice"), pool=pool).desktop
    settle(pool)
    got.refresh_from_db()
    assert got.state == "assigned"
    hypervisor.power_off(str(got.pk))
    apply(world.host, [hypervisor.observe_one(str(got.pk))])
    settle(pool)
    got.refresh_from_db()
    assert (got.state, got.holder_id) == ("free", None)
    assert Job.objects.filter(plan="vm.reset-disks", state="succeeded").count() == 1


def test_a_manual_pool_keeps_its_user(world, make_pool, hypervisor):
    from broker.virt.observe import apply

    pool = make_pool(size=1, kind="manual", stateful=True)
    settle(pool)
    got = allocate(actor=world.actor("alice"), pool=pool).desktop
    run_all()
    hypervisor.power_off(str(got.pk))
    apply(world.host, [hypervisor.observe_one(str(got.pk))])
    settle(pool)
    got.refresh_from_db()
    assert got.holder == world.alice
    with pytest.raises(Denied):
        release(actor=world.actor("alice"), desktop=got)
    release(actor=world.actor("root"), desktop=got)
    assert got.state == "free"


def test_resizing_never_touches_a_desktop_in_use(world, make_pool, hypervisor):
    """F30."""
    pool = make_pool(size=4, prestarted=4)
    settle(pool)
    got = allocate(actor=world.actor("alice"), pool=pool).desktop
    edit_pool(actor=world.actor("root"), pool=pool, size=0, prestarted=0)
    settle(pool)
    assert list(pool.desktops.values_list("pk", "state")) == [(got.pk, "assigned")]
    assert [one.name for one in hypervisor.observe()] == [got.vm.name]
    release(actor=world.actor("alice"), desktop=got)
    settle(pool)
    assert states(pool) == {}
    assert hypervisor.observe() == ()
    edit_pool(actor=world.actor("root"), pool=pool, size=2)
    settle(pool)
    assert states(pool) == {"free": 2}


def test_deleting_names_the_holders_and_takes_everything_along(world, make_pool, hypervisor):
    pool = make_pool(size=3, prestarted=1)
    settle(pool)
    allocate(actor=world.actor("alice"), pool=pool)
    with pytest.raises(Conflict) as refusal:
        delete_pool(actor=world.actor("root"), pool=pool)
    assert "alice" in refusal.value.message
    pool.refresh_from_db()
    assert pool.state == "active"
    delete_pool(actor=world.actor("root"), pool=pool, force=True)
    with pytest.raises(Conflict):
        allocate(actor=world.actor("bob"), pool=pool)
    settle(pool)
    assert not Pool.objects.exists()
    assert not Desktop.objects.exists()
    assert not VirtualMachine.objects.exists()
    assert hypervisor.observe() == ()
    assert Assignment.objects.get().until is not None
