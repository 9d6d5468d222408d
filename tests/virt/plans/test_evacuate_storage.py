"""storage.evacuate over a simulated host: every disk moves, what cannot is named, the storage is in maintenance."""

import pytest

from broker.access.actions.cancel_job import cancel_job
from broker.core.errors import Conflict, Invalid
from broker.events.models import Event
from broker.jobs.models import Job
from broker.jobs.runner import Runner
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.evacuate_storage import evacuate_storage
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.models import StorageDomain, TemplateVersion
from tests.virt.actions.stage import SYSTEM, done, ended, fresh


@pytest.fixture
def other(stage):
    return create_storage(actor=SYSTEM, cluster=stage.world.cluster, name="other", path="/sim/other")


def state(storage: StorageDomain) -> str:
    return StorageDomain.objects.get(pk=storage.pk).state


def test_all_disks_move_and_the_storage_rests(stage, other):
    machines = [stage.make("desk-1", start=True), stage.make("desk-2")]
    TemplateVersion.objects.update(storage=other)  # no image is left here
    job = done(evacuate_storage(actor=SYSTEM, storage=stage.world.storage, target=other))
    assert (state(stage.world.storage), state(other), job.args["total"]) == ("maintenance", "active", 2)
    assert {vm.disks.get().storage for vm in machines} == {other}
    assert stage.machines() == {"desk-1": "running", "desk-2": "off"}


def test_for_images_of_templates_it_stays_in_use(stage, other):
    vm = stage.make("desk-1")
    done(evacuate_storage(actor=SYSTEM, storage=stage.world.storage, target=other))
    assert (state(stage.world.storage), vm.disks.get().storage) == ("active", other)
    assert Event.objects.get(kind="storage.emptied").params["images"] == "1"
    done(start_vm(actor=SYSTEM, vm=fresh(vm)))


def test_what_cannot_move_is_named_and_the_storage_stays_in_use(stage, other):
    free, held = stage.make("desk-1"), stage.make("desk-2")
    done(take_snapshot(actor=SYSTEM, vm=held, name="before"))
    job = ended(evacuate_storage(actor=SYSTEM, storage=stage.world.storage, target=other))
    assert (job.state, job.error["rule"], state(stage.world.storage)) == ("failed", "storage.evacuate", "active")
    assert [reason["subject"] for reason in job.error["reasons"]] == ["desk-2"]
    assert (free.disks.get().storage, held.disks.get().storage) == (other, stage.world.storage)


def test_called_back_it_stays_in_use(stage, other):
    vm = stage.make("desk-1")
    job = evacuate_storage(actor=SYSTEM, storage=stage.world.storage, target=other)
    Runner().run(job.pk)
    move = Job.objects.get(plan="vm.move-disks")
    job.refresh_from_db()
    cancel_job(actor=SYSTEM, job=job)
    assert ended(job).state == "cancelled"
    move.refresh_from_db()
    assert (move.state, state(stage.world.storage)) == ("cancelled", "active")
    assert vm.disks.get().storage == stage.world.storage


def test_where_to_is_looked_at_first(stage, other):
    storage = stage.world.storage
    with pytest.raises(Invalid):
        evacuate_storage(actor=SYSTEM, storage=storage, target=storage)
    StorageDomain.objects.filter(pk=other.pk).update(state="maintenance")
    other.refresh_from_db()
    with pytest.raises(Conflict):
        evacuate_storage(actor=SYSTEM, storage=storage, target=other)
    with pytest.raises(Conflict):
        evacuate_storage(actor=SYSTEM, storage=other, target=storage)
