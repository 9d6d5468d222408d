"""Give a linked clone fresh disks: everything written since it was made is dropped."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import quotas
from broker.virt.asking import require_usable
from broker.virt.disk_rules import require_no_snapshots
from broker.virt.models import TemplateVersion, VirtualMachine
from broker.virt.states import VERSION


@transaction.atomic
def reset_disks(
    *,
    actor: Actor,
    vm: VirtualMachine,
    version: TemplateVersion | None = None,
    start: bool = False,
    refit: bool = False,
) -> Job:
    """Enqueue it; returns the job. A running machine is powered off, and started afresh with `start`.

    `version`: lay the new disks on this version of the same template instead of the present one; with `refit`, give
    the machine that version's processors and memory, too.
    Raises Missing, Denied, Conflict, OverQuota or Busy.
    """
    require(actor, "vm.edit", vm)
    require_usable(vm)
    present = vm.template_version
    if not vm.linked or present is None:
        raise Conflict(
            N_("%(name)s is no linked clone: there is nothing to reset it to."),
            rule="disk.linked",
            fix=N_("Make a new machine instead."),
            name=vm.name,
        )
    require_no_snapshots(vm)
    # Locked against its deletion, which looks for machines under the same lock.
    wanted = TemplateVersion.objects.select_for_update().get(pk=(version or present).pk)
    if wanted.template_id != present.template_id or not VERSION.is_(wanted.state, "usable"):
        raise Conflict(
            N_("%(version)s cannot be used for %(name)s."), rule="version.usable",
            fix=N_("Choose a ready version of its own template."),
            version=str(wanted), name=vm.name,
        )  # fmt: skip
    swap = _swap(vm, present, wanted)
    quotas.claim_disks(actor, vm, more_bytes=sum(one["size"] - one["was_size"] for one in swap), start=start)
    args = {
        "swap": swap,
        "version": str(wanted.pk),
        "was_version": str(present.pk),
        "start": bool(start),
    }
    if refit and wanted != present:
        args |= {"size": _size(wanted), "was_size": _size(vm)}
    record(
        "vm.reset-disks.asked",
        actor=actor,
        subject=vm,
        message=N_("Fresh disks for %(name)s were asked for"),
        name=vm.name,
    )
    publish("vm", vm.pk, "asked")
    return enqueue("vm.reset-disks", actor=actor, subject=vm, args=args)


def _size(of: VirtualMachine | TemplateVersion) -> dict[str, int]:
    return {"vcpus": of.vcpus, "memory_mib": of.memory_mib}


def _swap(vm: VirtualMachine, present: TemplateVersion, wanted: TemplateVersion) -> list[dict[str, Any]]:
    """Which volume takes the place of which, for the disk that came from the template; see the plan."""
    return [
        {
            "disk": str(disk.pk),
            "storage": str(disk.storage_id),
            "old": disk.volume,
            "new": disk.volume_name(disk.generation + 1),
            "generation": disk.generation,
            "size": disk.size_bytes if wanted == present else wanted.size_bytes,
            "was_size": disk.size_bytes,
        }
        for disk in vm.disks.all()
        if disk.order == 0
    ]
