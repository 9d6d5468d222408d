"""A pool goes over to another template version, stops, goes on, goes back."""

import pytest

from broker.core.errors import Conflict, Denied
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt import specs
from broker.virt.models import TemplateVersion, VirtualMachine
from pools.actions.allocate import allocate
from pools.actions.edit_pool import edit_pool
from pools.actions.pace_rollout import pace_rollout
from pools.actions.release import release
from pools.actions.resume_rollout import resume_rollout
from pools.actions.roll_back import roll_back
from pools.actions.stop_rollout import stop_rollout
from pools.actions.update_desktop import update_desktop
from pools.models import Desktop, Pool, Rollout
from pools.reconcile import reconcile_pool
from pools.updates import progress, waiting
from tests.jobs_help import run_all

from .conftest import SYSTEM, settle, states

GIB = 1024**3


@pytest.fixture
def publish_version(world, hypervisor):
    """`publish_version()`: the next version of the template, ready, with its image on the host."""

    def publish(**values) -> TemplateVersion:
        number = TemplateVersion.objects.count() + 1
        values = {"size_bytes": 4 * GIB, "vcpus": 1, "memory_mib": 512, "graphics": ["vnc"], **values}
        version = TemplateVersion.objects.create(
            template=world.template, number=number, state="ready", storage=world.storage,
            volume=f"template-desk-{number}.qcow2", **values,
        )  # fmt: skip
        hypervisor.create_volume(specs.storage_spec(world.storage), version.volume, capacity=version.size_bytes)
        return version

    return publish


def on(pool: Pool, version: TemplateVersion) -> int:
    return Desktop.objects.filter(pool=pool, vm__template_version=version).count()


def taken(world, pool: Pool, who: str = "alice") -> Desktop:
    desktop = allocate(actor=world.actor(who), pool=pool).desktop
    run_all()
    return Desktop.objects.select_related("vm", "pool").get(pk=desktop.pk)


def test_the_free_go_at_once_and_the_others_when_given_back(world, make_pool, publish_version):
    pool = make_pool(size=4, prestarted=2)
    settle(pool)
    mine = taken(world, pool)
    settle(pool)
    new = publish_version(vcpus=2, memory_mib=1024)
    settle(pool)
    assert (on(pool, new), on(pool, world.version)) == (3, 1)
    seen = progress(pool)
    assert (seen.total, seen.done, seen.held, seen.old, seen.percent, seen.stopped) == (4, 3, 1, 1, 75, False)
    mine.refresh_from_db()
    assert mine.vm.template_version == world.version and mine.holder == world.alice
    release(actor=world.actor("alice"), desktop=mine)
    settle(pool)
    assert on(pool, new) == 4 and progress(pool) is None
    assert Rollout.objects.get().state == "done"
    assert Event.objects.filter(kind="rollout.done").count() == 1
    sizes = set(VirtualMachine.objects.filter(desktop__pool=pool).values_list("vcpus", "memory_mib"))
    assert sizes == {(2, 1024)}


def test_only_so_many_at_a_time(world, make_pool, publish_version):
    pool = make_pool(size=8)
    settle(pool)
    new = publish_version()
    reconcile_pool(pool.pk)
    assert states(pool) == {"free": 3, "resetting": 5}
    pace_rollout(actor=SYSTEM, pool=pool, at_once=6)
    reconcile_pool(pool.pk)
    assert states(pool) == {"free": 2, "resetting": 6}
    settle(pool)
    assert on(pool, new) == 8
    publish_version()
    reconcile_pool(pool.pk)
    assert Rollout.objects.first().at_once == 6  # the pace stays with the pool


def test_the_last_free_desktop_waits_for_another(world, make_pool, publish_version):
    pool = make_pool(size=3)
    settle(pool)
    new = publish_version()
    reconcile_pool(pool.pk)
    assert states(pool) == {"free": 1, "resetting": 2}
    reconcile_pool(pool.pk)
    assert states(pool) == {"free": 1, "resetting": 2}
    settle(pool)
    assert on(pool, new) == 3


def test_a_pinned_pool_stays_and_goes_when_the_pin_is_moved(world, make_pool, publish_version):
    pool = make_pool(size=2, version=world.version)
    settle(pool)
    new = publish_version()
    settle(pool)
    assert on(pool, world.version) == 2 and not Rollout.objects.exists()
    edit_pool(actor=SYSTEM, pool=pool, version=new)
    settle(pool)
    assert on(pool, new) == 2


def test_stopped_nothing_moves_and_what_is_reset_or_made_stays_as_it_was(world, make_pool, publish_version):
    pool = make_pool(size=3)
    settle(pool)
    mine = taken(world, pool)
    new = publish_version()
    reconcile_pool(pool.pk)
    pace_rollout(actor=SYSTEM, pool=pool, at_once=1)
    stop_rollout(actor=SYSTEM, pool=pool)
    with pytest.raises(Conflict):
        stop_rollout(actor=SYSTEM, pool=pool)
    run_all()
    assert on(pool, new) == 1  # whose reset had been begun
    release(actor=world.actor("alice"), desktop=mine)
    edit_pool(actor=SYSTEM, pool=pool, size=5)
    settle(pool)
    mine.vm.refresh_from_db()
    assert mine.vm.template_version == world.version
    assert (on(pool, new), on(pool, world.version)) == (1, 4)
    assert progress(pool).stopped
    resume_rollout(actor=SYSTEM, pool=pool)
    settle(pool)
    assert on(pool, new) == 5 and progress(pool) is None


def test_back_to_where_it_was(world, make_pool, publish_version):
    pool = make_pool(size=3)
    settle(pool)
    mine = taken(world, pool)
    new = publish_version()
    settle(pool)
    assert on(pool, new) == 2
    stop_rollout(actor=SYSTEM, pool=pool)
    roll_back(actor=SYSTEM, pool=pool)
    settle(pool)
    pool.refresh_from_db()
    assert pool.version == world.version
    assert on(pool, world.version) == 3 and progress(pool) is None
    assert sorted(Rollout.objects.values_list("state", flat=True)) == ["done", "ended"]
    mine.refresh_from_db()
    assert mine.holder == world.alice  # whom all this did not concern


def test_back_after_it_was_done(world, make_pool, publish_version):
    pool = make_pool(size=2)
    settle(pool)
    publish_version()
    settle(pool)
    roll_back(actor=SYSTEM, pool=pool)
    settle(pool)
    assert on(pool, world.version) == 2


def test_nowhere_to_go_back_to(world, make_pool, publish_version):
    pool = make_pool(size=1)
    settle(pool)
    with pytest.raises(Conflict):
        roll_back(actor=SYSTEM, pool=pool)
    publish_version()
    settle(pool)
    TemplateVersion.objects.filter(pk=world.version.pk).delete()
    with pytest.raises(Conflict) as caught:
        roll_back(actor=SYSTEM, pool=pool)
    assert "Version 1" in caught.value.message


def test_a_version_that_comes_meanwhile_takes_its_place(world, make_pool, publish_version):
    pool = make_pool(size=3)
    settle(pool)
    taken(world, pool)
    publish_version()
    settle(pool)
    third = publish_version()
    settle(pool)
    assert on(pool, third) == 2
    assert Rollout.objects.filter(state="running").get().version == third
    assert Rollout.objects.filter(state="ended").count() == 1


def test_what_was_stopped_stays_stopped_when_a_version_comes(world, make_pool, publish_version):
    pool = make_pool(size=2)
    settle(pool)
    publish_version()
    reconcile_pool(pool.pk)
    stop_rollout(actor=SYSTEM, pool=pool)
    run_all()
    third = publish_version()
    settle(pool)
    assert on(pool, third) == 0
    assert Rollout.objects.filter(state="paused").get().version == third


def test_desktops_that_break_on_the_new_version_stop_it(world, make_pool, publish_version):
    pool = make_pool(size=8)
    settle(pool)
    publish_version()
    reconcile_pool(pool.pk)
    pace_rollout(actor=SYSTEM, pool=pool, at_once=2)
    run_all()
    new = Rollout.objects.get().version
    first = Desktop.objects.filter(pool=pool, vm__template_version=new).order_by("number").first()
    VirtualMachine.objects.filter(pk=first.pk).update(state="broken")
    reconcile_pool(pool.pk)  # it is found broken
    reconcile_pool(pool.pk)
    rollout = Rollout.objects.get()
    assert rollout.state == "paused"
    assert rollout.cause["rule"] == "rollout.broken"
    assert Event.objects.filter(kind="rollout.stopped-itself").count() == 1
    resume_rollout(actor=SYSTEM, pool=pool)
    reconcile_pool(pool.pk)
    assert Rollout.objects.get().state == "running"  # the one that broke before does not stop it again


@pytest.mark.parametrize("kept", [{"stateful": True}, {"kind": "manual"}])
def test_what_users_left_is_not_rebuilt_without_asking(world, make_pool, publish_version, kept):
    pool = make_pool(size=3, **kept)
    settle(pool)
    mine = taken(world, pool)
    release(actor=SYSTEM, desktop=mine)
    settle(pool)
    if "kind" in kept:  # a manual pool resets what is taken back: let it be held again
        mine = taken(world, pool)
    new = publish_version()
    settle(pool)
    assert on(pool, new) == 2
    seen = progress(pool)
    assert seen.kept + seen.held == 1 and seen.rollout.state == "running"
    mine = Desktop.objects.select_related("vm", "pool").get(pk=mine.pk)
    with pytest.raises(Conflict) as caught:
        update_desktop(actor=SYSTEM, desktop=mine)
    assert "lost" in caught.value.message
    update_desktop(actor=SYSTEM, desktop=mine, discard=True)
    settle(pool)
    assert on(pool, new) == 3 and progress(pool) is None


def test_a_user_restarts_now_and_keeps_the_desktop(world, make_pool, publish_version):
    pool = make_pool(size=2, prestarted=1)
    settle(pool)
    mine = taken(world, pool)
    assert waiting([mine]) == {}
    new = publish_version(notes="a new editor")
    settle(pool)
    mine = Desktop.objects.select_related("vm", "pool").get(pk=mine.pk)
    told = waiting([mine])[mine.pk]
    assert (told.number, told.notes, told.loses_data) == (2, "a new editor", False)
    update_desktop(actor=world.actor("alice"), desktop=mine)
    settle(pool)
    mine = Desktop.objects.select_related("vm", "pool").get(pk=mine.pk)
    assert (mine.state, mine.holder, mine.vm.template_version) == ("assigned", world.alice, new)
    assert mine.vm.power_state == "running"
    assert waiting([mine]) == {}
    with pytest.raises(Conflict):
        update_desktop(actor=world.actor("alice"), desktop=mine)


def test_nobody_updates_the_desktop_of_another(world, make_pool, publish_version):
    pool = make_pool(size=1)
    settle(pool)
    mine = taken(world, pool)
    publish_version()
    settle(pool)
    with pytest.raises(Denied):
        update_desktop(actor=world.actor("bob"), desktop=mine)
    assert not Job.objects.filter(plan="vm.reset-disks", state__in=("queued", "running")).exists()


def test_while_it_is_stopped_no_update_waits(world, make_pool, publish_version):
    pool = make_pool(size=1)
    settle(pool)
    mine = taken(world, pool)
    publish_version()
    settle(pool)
    stop_rollout(actor=SYSTEM, pool=pool)
    assert waiting([mine]) == {}
    with pytest.raises(Conflict):
        update_desktop(actor=world.actor("alice"), desktop=mine)


def test_people_who_come_meanwhile_get_a_desktop(world, make_pool, publish_version):
    pool = make_pool(size=3, prestarted=3)
    settle(pool)
    publish_version()
    reconcile_pool(pool.pk)
    pace_rollout(actor=SYSTEM, pool=pool, at_once=1)
    run_all()
    settle(pool)
    assert taken(world, pool, "bob").holder == world.bob
