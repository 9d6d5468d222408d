"""Slow down the disks of a running machine that are being copied elsewhere, hold the copy, or let it go on."""

from functools import partial
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import wake
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState
from broker.virt import names
from broker.virt.models import VirtualMachine

from .move_disks import MOST_MIB

PLAN = "vm.move-disks"


@transaction.atomic
def pace_move(*, actor: Actor, vm: VirtualMachine, bandwidth_mib: int | None = None, paused: bool | None = None) -> Job:
    """The copy's next look goes by it, half a second later. What is None stays; `bandwidth_mib` of 0: no limit.

    Raises Missing, Denied, Invalid, or Conflict (nothing of it is being copied while it runs).
    """
    require(actor, "vm.edit", vm)
    wish: dict[str, Any] = {}
    if bandwidth_mib is not None:
        wish["bandwidth"] = names.number(bandwidth_mib, field="bandwidth_mib", least=0, most=MOST_MIB) << 20
    if paused is not None:
        wish["paused"] = bool(paused)
    active = Job.objects.select_for_update().filter(subject_kind="vm", subject_id=vm.pk, state__in=ACTIVE, plan=PLAN)
    job = active.first()
    # Once the copy has begun its job keeps nothing more, so that this is not written over.
    if job is None or job.args.get("mode") != "live" or job.state == JobState.UNDOING:
        raise Conflict(
            N_("No disk of %(name)s is being copied while it runs."), rule="disk.copying",
            fix=N_("Move its disks first, or wait until the copy has begun."), name=vm.name,
        )  # fmt: skip
    if all(job.args.get(name, False) == value for name, value in wish.items()):
        return job
    Job.objects.filter(pk=job.pk).update(args={**job.args, **wish})
    Job.objects.filter(pk=job.pk, state=JobState.WAITING).update(next_run_at=clock.now())
    job.refresh_from_db()
    record(
        "vm.disks-paced", actor=actor, subject=vm, name=vm.name,
        message=N_("The copying of disks of %(name)s is held") if job.args.get("paused")
        else N_("The copying of disks of %(name)s goes on with another pace"),
    )  # fmt: skip
    publish("job", job.pk, "progress")
    transaction.on_commit(partial(wake, job.pk), robust=True)
    return job
