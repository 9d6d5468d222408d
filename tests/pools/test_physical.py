"""Pools of physical PCs: who gets which, what is woken, how they come and go, and what such a pool refuses."""

import pytest

from broker.access.actor import Actor
from broker.core.errors import Conflict, Denied, Invalid, Missing, NoCapacity
from broker.jobs.models import Job
from broker.virt.actions.create_physical_machine import create_physical_machine
from broker.virt.actions.delete_physical_machine import delete_physical_machine
from broker.virt.actions.edit_physical_machine import edit_physical_machine
from broker.virt.models import PhysicalMachine, VirtualMachine
from broker.virt.physical import observe
from pools.actions.add_physical_machine import add_physical_machine
from pools.actions.allocate import allocate
from pools.actions.assign import assign
from pools.actions.create_pool import create_pool
from pools.actions.delete_pool import delete_pool
from pools.actions.edit_pool import edit_pool
from pools.actions.entitle import entitle
from pools.actions.join_queue import join_queue
from pools.actions.release import release
from pools.actions.reset_desktop import reset_desktop
from pools.actions.retire_desktop import retire_desktop
from pools.actions.set_booking_rules import set_booking_rules
from pools.actions.set_session_rules import set_session_rules
from pools.models import Desktop, Pool
from pools.reconcile import reconcile_pool

pytestmark = pytest.mark.django_db
SYSTEM = Actor.system("test")


@pytest.fixture
def pool(world) -> Pool:
    pool = create_pool(actor=SYSTEM, name="room", title="Room 12", cluster=world.cluster, max_per_user=1)
    for user in (world.alice, world.bob):
        entitle(actor=SYSTEM, pool=pool, user=user)
    return pool


def pc(world, pool, number: int, *, on: bool, mac: str = "52:54:00:aa:bb:01") -> PhysicalMachine:
    row = create_physical_machine(
        actor=SYSTEM, cluster=world.cluster, name=f"pc-{number}", address=f"10.1.2.{number}", vnc_port=5900, mac=mac
    )
    if pool is not None:
        add_physical_machine(actor=SYSTEM, pool=pool, pc=row)
    see(row, on=on)
    return row


def see(row, *, on: bool) -> None:
    for _ in range(observe.MISSES):
        observe.write(row, observe.Seen(row.address, (5900,) if on else (), there=on))


def holders(pool) -> dict[str, str]:
    rows = Desktop.objects.filter(pool=pool, holder__isnull=False).values_list("vm__name", "holder__username")
    return dict(rows)


def test_what_is_on_is_given_first_and_what_is_off_is_woken(world, pool):
    pc(world, pool, 1, on=False, mac="")
    pc(world, pool, 2, on=False)
    pc(world, pool, 3, on=True)
    assert Pool.objects.get().size == 3
    assert allocate(actor=world.actor("alice"), pool=pool).state == "ready"
    assert allocate(actor=world.actor("alice"), pool=pool).desktop.vm.name == "pc-3"  # and gets it again
    given = allocate(actor=world.actor("bob"), pool=pool)
    assert (given.state, given.job.plan) == ("starting", "vm.wake")
    assert holders(pool) == {"pc-3": "alice", "pc-2": "bob"}
    with pytest.raises((Missing, Denied)):
        allocate(actor=world.actor("charlie"), pool=pool)


def test_one_that_cannot_be_woken_or_is_in_maintenance_is_given_to_nobody(world, pool):
    pc(world, pool, 1, on=False, mac="")
    edit_physical_machine(actor=SYSTEM, pc=pc(world, pool, 2, on=True), maintenance=True)
    with pytest.raises(NoCapacity):
        allocate(actor=world.actor("alice"), pool=pool)
    assert not holders(pool) and not Job.objects.exists()


def test_given_back_it_is_free_as_it_is_and_who_waits_gets_it(world, pool):
    pc(world, pool, 1, on=True)
    desktop = allocate(actor=world.actor("alice"), pool=pool).desktop
    join_queue(actor=world.actor("bob"), pool=Pool.objects.get())
    release(actor=world.actor("alice"), desktop=Desktop.objects.get(pk=desktop.pk))
    assert Desktop.objects.get().state == "free"
    reconcile_pool(pool.pk)
    assert holders(pool) == {"pc-1": "bob"} and not Job.objects.exists()


def test_switched_off_it_goes_back_unless_it_is_its_users_for_good(world, pool):
    kept = create_pool(actor=SYSTEM, name="desks", cluster=world.cluster, kind="manual")
    entitle(actor=SYSTEM, pool=kept, user=world.alice)
    one, other = pc(world, pool, 1, on=True), pc(world, kept, 2, on=True)
    for each in (pool, kept):
        allocate(actor=world.actor("alice"), pool=each)
    for row in (one, other):
        see(row, on=False)
    for each in (pool, kept):
        reconcile_pool(each.pk)
    assert not holders(pool) and holders(kept) == {"pc-2": "alice"}


def test_a_pc_that_was_just_woken_is_not_taken_back(world, pool):
    pc(world, pool, 1, on=False)
    allocate(actor=world.actor("alice"), pool=pool)
    reconcile_pool(pool.pk)
    assert holders(pool) == {"pc-1": "alice"}
    Job.objects.update(state="failed")
    reconcile_pool(pool.pk)
    assert not holders(pool)


def test_a_certain_pc_is_assigned(world, pool):
    pc(world, pool, 1, on=True)
    assign(actor=world.actor("root"), desktop=Desktop.objects.get(), user=world.charlie)
    assert holders(pool) == {"pc-1": "charlie"}


def test_taken_out_or_with_its_pool_gone_the_pc_stays(world, pool):
    first, second = pc(world, pool, 1, on=True), pc(world, pool, 2, on=True)
    with pytest.raises(Conflict):
        delete_physical_machine(actor=SYSTEM, pc=first)
    retire_desktop(actor=world.actor("root"), desktop=Desktop.objects.get(pk=first.pk))
    reconcile_pool(pool.pk)
    assert [row.pk for row in Desktop.objects.all()] == [second.pk] and Pool.objects.get().size == 1
    add_physical_machine(actor=SYSTEM, pool=pool, pc=first)
    delete_pool(actor=SYSTEM, pool=Pool.objects.get())
    reconcile_pool(pool.pk)
    assert not Pool.objects.exists() and not Desktop.objects.exists()
    assert VirtualMachine.objects.filter(machine="physical").count() == 2 and not Job.objects.exists()


def test_only_who_may_do_both_puts_a_pc_into_a_pool(world, pool):
    row = pc(world, None, 1, on=True)
    world.grant(world.alice, "pool-admin", pool)
    with pytest.raises((Missing, Denied)):
        add_physical_machine(actor=world.actor("alice"), pool=pool, pc=row)
    add_physical_machine(actor=world.actor("root"), pool=pool, pc=row)
    for other in (pool, create_pool(actor=SYSTEM, name="made", template=world.template, size=0)):
        with pytest.raises(Conflict):
            add_physical_machine(actor=world.actor("root"), pool=other, pc=row)


@pytest.mark.parametrize(
    "wish", [{"prestarted": 1}, {"suspended": 1}, {"forecast": True}, {"name_pattern": "pc-#"}, {"storage": True}]
)
def test_what_is_made_by_nobody_is_not_chosen(world, wish):
    if "storage" in wish:
        wish = {"storage": world.storage}
    with pytest.raises(Invalid) as refusal:
        create_pool(actor=SYSTEM, name="room", cluster=world.cluster, **wish)
    assert refusal.value.field in wish


def test_neither_template_nor_cluster_is_no_pool(world):
    with pytest.raises(Invalid) as refusal:
        create_pool(actor=SYSTEM, name="room")
    assert refusal.value.field == "template"


def test_it_is_edited_but_not_into_what_it_cannot_be(world, pool):
    pc(world, pool, 1, on=True)
    edit_pool(actor=SYSTEM, pool=pool, title="Room 13", kind="manual", size=1)
    for change in ({"size": 5}, {"prestarted": 1}, {"stateful": False}, {"version": world.version}):
        with pytest.raises(Invalid):
            edit_pool(actor=SYSTEM, pool=pool, **change)
    with pytest.raises(Invalid):
        set_booking_rules(actor=SYSTEM, pool=pool, booked=True)
    with pytest.raises(Conflict) as refusal:
        reset_desktop(actor=SYSTEM, desktop=Desktop.objects.get())
    assert refusal.value.rule == "machine.virtual"


def test_session_rules_are_those_that_need_nobody_inside(world, pool):
    set_session_rules(actor=SYSTEM, pool=pool, leave="give-back", idle="disconnect", longest=3600)
    for act in ("lock", "log-out", "suspend", "shut-down"):
        with pytest.raises(Invalid) as refusal:
            set_session_rules(actor=SYSTEM, pool=pool, leave=act)
        assert refusal.value.field == "leave" and "inside a physical PC" in str(refusal.value)
