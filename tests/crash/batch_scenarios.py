"""The crash matrix's scenario of one action for several machines; see scenarios.py."""

from broker.access.actor import Actor
from broker.jobs.models import Job
from broker.virt.actions.act_on_machines import act_on_machines
from broker.virt.driver import PowerState
from broker.virt.models import Batch
from tests.crash.scenarios import Scenario, Stage


def _batch(stage: Stage):
    off, on = stage.machine(), stage.machine(running=True)
    root = Actor.for_user(stage.world.root)
    return act_on_machines(actor=root, verb="start", machines=[off.pk, on.pk]), (off, on)


def _batch_ended(stage: Stage, job: Job, known) -> None:
    """Each machine was asked once: the one that was off runs, the other refused."""
    off, on = known
    results = Batch.objects.get(pk=job.subject_id).results
    assert [results[str(vm.pk)]["state"] for vm in known] == ["done", "refused"]
    assert Job.objects.filter(plan="vm.start", subject_id=off.pk).count() == 1
    assert stage.power(off.pk) is stage.power(on.pk) is PowerState.RUNNING


BATCHES = {"batch.run": Scenario(_batch, _batch_ended)}
