"""One action for several machines: which there are, and what came of each machine."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet

from broker.access.actor import Actor
from broker.access.require import may, own
from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState

from .actions.delete_vm import delete_vm
from .actions.migrate_vm import migrate_vm
from .actions.pause_vm import pause_vm
from .actions.power_off_vm import power_off_vm
from .actions.reboot_vm import reboot_vm
from .actions.reset_vm import reset_vm
from .actions.resume_vm import resume_vm
from .actions.shutdown_vm import shutdown_vm
from .actions.start_vm import start_vm
from .actions.suspend_vm import suspend_vm
from .actions.take_snapshot import take_snapshot
from .models import Batch, VirtualMachine


def snapshot_now(*, actor: Actor, vm: VirtualMachine) -> Job:
    """Named after the moment, of all its disks, without its memory."""
    return take_snapshot(actor=actor, vm=vm, name=clock.now().strftime("%Y-%m-%d-%H%M%S"))


VERBS: dict[str, Callable[..., Job]] = {
    "start": start_vm, "resume": resume_vm, "pause": pause_vm, "suspend": suspend_vm, "reboot": reboot_vm,
    "shutdown": shutdown_vm, "reset": reset_vm, "power-off": power_off_vm, "migrate": migrate_vm,
    "snapshot": snapshot_now, "delete": delete_vm,
}  # fmt: skip
_RIGHTS = {"delete": "vm.delete", "migrate": "vm.migrate", "snapshot": "vm.edit"}
MOST = 500

WAITING, ASKED, DONE, REFUSED, FAILED = "waiting", "asked", "done", "refused", "failed"


def right_of(verb: str) -> str:
    """The right that the verb takes on each machine."""
    return _RIGHTS.get(verb, "vm.power")


def visible_batches(actor: Actor) -> QuerySet[Batch]:
    """One's own; those of everybody for who sees all jobs."""
    rows = Batch.objects.select_related("owner")
    return rows if may(actor, "job.view") else rows.filter(own(actor, Q(owner=actor.user_id), "job.view"))


def look(results: dict[str, dict[str, Any]]) -> bool:
    """Note which of the jobs that were begun have ended, two queries at most; returns whether any goes on."""
    asked = {UUID(one["job"]): one for one in results.values() if one["state"] == ASKED}
    jobs = Job.objects.in_bulk(asked)
    for pk, one in asked.items():
        job = jobs.get(pk)
        if job is not None and job.state in ACTIVE:
            continue
        one["state"] = DONE if job is None or job.state == JobState.SUCCEEDED else FAILED
        if job is not None and job.error:
            one["error"] = job.error
    return any(one["state"] == ASKED for one in results.values())
