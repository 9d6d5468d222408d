"""Desktops whose host was lost: high availability has them, and nobody else takes them in hand meanwhile."""

import pytest

from broker.jobs.models import Job
from broker.virt.models import Recovery, VirtualMachine
from broker.virt.states import RecoveryState
from pools.models import Desktop
from pools.reconcile import reconcile_pool
from tests.pools.conftest import free_rows

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("state", ["assigned", "free"])
def test_one_that_is_restarted_elsewhere_is_neither_taken_back_nor_started(world, make_pool, state):
    pool = make_pool(size=1, prestarted=1, stateful=True)
    free_rows(pool, world, 1, power="off")
    desktop = Desktop.objects.get(pool=pool)
    VirtualMachine.objects.filter(pk=desktop.pk).update(available=True)
    Desktop.objects.filter(pk=desktop.pk).update(state=state, holder=world.alice if state == "assigned" else None)
    lost = Recovery.objects.create(vm=desktop.vm, host=world.host, epoch=1)
    reconcile_pool(pool.pk)
    desktop.refresh_from_db()
    assert desktop.state == state and not Job.objects.filter(subject_id=desktop.pk).exists()

    Recovery.objects.filter(pk=lost.pk).update(state=RecoveryState.DROPPED)
    reconcile_pool(pool.pk)
    desktop.refresh_from_db()
    assert desktop.state != "assigned" and Job.objects.filter(subject_id=desktop.pk).exists()
