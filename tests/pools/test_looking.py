"""What is read of a pool belongs together, and what is handed out is really coming up."""

import pytest
from django.db import connection

from broker.core.errors import NoCapacity
from broker.jobs.models import Job
from pools.actions.allocate import allocate
from pools.models import Desktop, Pool
from pools.reconcile import reconcile_pool
from tests.jobs_help import run_all
from tests.pools.conftest import states

pytestmark = pytest.mark.django_db


def test_a_desktop_whose_creation_ends_while_its_pool_is_looked_at_is_not_broken(make_pool):
    pool = make_pool(size=1)
    reconcile_pool(pool.pk)
    assert states(pool) == {"building": 1}
    ended = []

    def end_the_job_after_the_desktops_were_read(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if not ended and 'FROM "pools_desktop"' in sql and '"virt_virtualmachine"."state"' in sql:
            ended.append(sql)
            run_all()
        return result

    with connection.execute_wrapper(end_the_job_after_the_desktops_were_read):
        reconcile_pool(pool.pk)
    assert ended
    assert not Job.objects.filter(state__in=("queued", "running", "waiting")).exists()
    reconcile_pool(pool.pk)
    assert states(pool) == {"free": 1}


@pytest.fixture
def made(make_pool) -> Pool:
    """A pool with one free desktop that is off."""
    pool = make_pool(size=1)
    reconcile_pool(pool.pk)
    run_all()
    reconcile_pool(pool.pk)
    assert states(pool) == {"free": 1}
    return pool


@pytest.mark.parametrize("args", [{"start": False}, {}])
def test_a_creation_that_will_not_start_its_machine_is_not_coming_up(world, made, args):
    """The job is at its end, the desktop free and off already: handed out now, nobody would ever start it."""
    desktop = Desktop.objects.get(pool=made)
    Job.objects.filter(subject_id=desktop.pk, plan="vm.create").update(state="running", args=args)
    with pytest.raises(NoCapacity):
        allocate(actor=world.actor("alice"), pool=made)
    Job.objects.filter(subject_id=desktop.pk, plan="vm.create").update(state="succeeded")
    allocation = allocate(actor=world.actor("alice"), pool=made)
    assert (allocation.desktop.pk, allocation.state) == (desktop.pk, "starting")
    assert allocation.job is not None
    assert allocation.job.plan == "vm.start"


def test_a_creation_that_starts_its_machine_is(world, made):
    desktop = Desktop.objects.get(pool=made)
    creation = Job.objects.get(subject_id=desktop.pk, plan="vm.create")
    Job.objects.filter(pk=creation.pk).update(state="running", args={"start": True})
    allocation = allocate(actor=world.actor("alice"), pool=made)
    assert (allocation.desktop.pk, allocation.state, allocation.job) == (desktop.pk, "starting", creation)
