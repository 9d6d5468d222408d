"""Failing pools: they wait longer each time, name the cause once, heal by themselves, and blame no innocent desktop."""

from datetime import timedelta

import pytest

from broker.core import clock
from broker.events.models import Event
from broker.jobs.models import Job
from broker.virt.driver import NoSpace
from broker.virt.drivers.simulated.world import world as simulated
from broker.virt.models import VirtualMachine
from pools.actions.edit_pool import edit_pool
from pools.models import Desktop
from pools.reconcile import reconcile_all, reconcile_pool
from pools.trouble import tag
from tests.jobs_help import run_all
from tests.pools.conftest import SYSTEM, running, settle, states

pytestmark = pytest.mark.django_db


def time_passes(pool) -> None:
    """Everything that happened to the pool happened ten minutes earlier."""
    ago = timedelta(minutes=10)
    for job in Job.objects.all():
        Job.objects.filter(pk=job.pk).update(
            created_at=job.created_at - ago, finished_at=job.finished_at and job.finished_at - ago
        )
    for row in Desktop.objects.filter(pool=pool):
        Desktop.objects.filter(pk=row.pk).update(changed_at=row.changed_at - ago)


def test_a_full_storage_holds_the_pool_back_and_is_told_once(world, make_pool, hypervisor):
    pool = make_pool(size=5)
    place = simulated(world.host.uri)
    full = NoSpace("The storage is full.", fix="Make room.")
    place.fail_next("create_volume", full, times=5)
    reconcile_pool(pool.pk)
    run_all()
    reconcile_pool(pool.pk)
    pool.refresh_from_db()
    assert pool.failures == 1, "five that failed together are one failure"
    assert pool.retry_at > clock.now()
    assert pool.alert["code"] == "no-space"
    assert not VirtualMachine.objects.exists()
    assert reconcile_pool(pool.pk).restful, "it waits"
    for tries in (2, 3):
        time_passes(pool)
        place.fail_next("create_volume", full)
        plan = reconcile_pool(pool.pk)
        assert plan.build == 1, "one at a time while it is doubtful"
        run_all()
        reconcile_pool(pool.pk)
        pool.refresh_from_db()
        assert pool.failures == tries
    assert Event.objects.filter(kind="pool.trouble").count() == 1
    time_passes(pool)
    settle(pool)
    pool.refresh_from_db()
    assert (pool.failures, pool.alert, pool.retry_at) == (0, None, None)
    assert states(pool) == {"free": 5}
    assert Event.objects.filter(kind="pool.healed").count() == 1


def test_a_template_without_a_ready_version_is_the_cause(world, make_pool):
    from broker.virt.models import TemplateVersion

    pool = make_pool(size=1)
    TemplateVersion.objects.all().delete()
    reconcile_pool(pool.pk)
    pool.refresh_from_db()
    assert "no version" in pool.alert["message"]
    edit_pool(actor=SYSTEM, pool=pool, size=0)
    reconcile_pool(pool.pk)
    pool.refresh_from_db()
    assert pool.alert is None, "nothing is lacking any more"


def test_a_desktop_gone_from_its_host_is_broken_and_told(world, make_pool, hypervisor):
    pool = make_pool(size=2)
    settle(pool)
    lost = Desktop.objects.get(pool=pool, number=1)
    VirtualMachine.objects.filter(pk=lost.pk).update(power_state="missing")
    reconcile_pool(pool.pk)
    lost.refresh_from_db()
    assert lost.state == "broken"
    assert Event.objects.filter(kind="desktop.broken", subject_id=lost.pk).exists()


def test_prestarting_stops_what_is_too_much_after_a_while(world, make_pool):
    pool = make_pool(size=3, prestarted=3)
    settle(pool)
    edit_pool(actor=SYSTEM, pool=pool, prestarted=1)
    reconcile_pool(pool.pk)
    assert running(pool) == 3, "not at once"
    time_passes(pool)
    settle(pool)
    assert running(pool) == 1


def test_one_pool_that_cannot_be_looked_at_holds_up_no_other(world, make_pool, monkeypatch):
    from pools import reconcile

    bad, good = make_pool(name="bad", size=1), make_pool(name="good", size=1)
    real = reconcile.reconcile_pool

    def sometimes(pool_id):
        if pool_id == bad.pk:
            raise RuntimeError("a defect")
        return real(pool_id)

    monkeypatch.setattr(reconcile, "reconcile_pool", sometimes)
    assert reconcile_all() == 2
    assert Job.objects.filter(correlation=tag(good)).count() == 1
