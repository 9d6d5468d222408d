"""The second level on a real hypervisor: a free desktop lies on disk, and its user finds the guest as it had booted."""

import pytest

from broker.access.actor import Actor
from broker.core import clock
from broker.virt.models import VirtualMachine
from pools.actions.allocate import allocate
from pools.actions.create_pool import create_pool
from pools.models import Desktop
from pools.seats import BOOTED_BY
from tests.jobs_help import run_all
from tests.pools.conftest import settle
from tests.virt.plans.test_lab import boots, lab_up, real  # noqa: F401 - `real` is a fixture

pytestmark = pytest.mark.lab
SYSTEM = Actor.system("test")


def test_a_desktop_is_suspended_ahead_and_wakes_for_its_user(real):  # noqa: F811
    world = real.world
    pool = create_pool(
        actor=SYSTEM,
        name="asleep",
        template=real.template,
        storage=real.storage,
        network=real.network,
        size=1,
        suspended=1,
    )
    world.grant(world.alice, "pool-user", pool)
    settle(pool)
    desktop = Desktop.objects.select_related("vm").get(pool=pool)
    assert desktop.vm.power_state == "running", "it boots first"
    lab_up(real, desktop.vm)
    VirtualMachine.objects.filter(pk=desktop.pk).update(booted_at=clock.now() - BOOTED_BY)
    settle(pool)
    desktop.vm.refresh_from_db()
    assert desktop.vm.power_state == "suspended"
    assert str(real.line.observe_one(str(desktop.pk)).power) == "suspended"
    before = boots(desktop.vm)
    got = allocate(actor=world.actor("alice"), pool=pool)
    assert (got.desktop.pk, got.state) == (desktop.pk, "starting")
    run_all()
    desktop.vm.refresh_from_db()
    assert desktop.vm.power_state == "running"
    lab_up(real, desktop.vm)
    real.line.power_off(str(desktop.pk))  # its disk is locked while it runs
    assert boots(desktop.vm).boots == before.boots, "it went on, it did not boot again"
