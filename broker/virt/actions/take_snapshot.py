"""Keep a machine's disks as they are now, with its memory if wanted, also while it runs."""

from collections.abc import Collection
from typing import Any
from uuid import uuid4

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import host_devices, names
from broker.virt.asking import require_power, require_usable, require_virtual
from broker.virt.disk_rules import SETTLED, require_kept
from broker.virt.driver import PowerState
from broker.virt.models import Disk, VirtualMachine
from broker.virt.shared_disks import require_all_its_own
from broker.virt.storage_rules import require_files

MOST_SNAPSHOTS = 32
UP = (PowerState.RUNNING, PowerState.PAUSED)


@transaction.atomic
def take_snapshot(
    *,
    actor: Actor,
    vm: VirtualMachine,
    name: str,
    description: str = "",
    disks: Collection[Disk] | None = None,
    memory: bool = False,
    quiesce: bool = False,
) -> Job:
    """Enqueue it; the job's args name the `snapshot`, whose row is there once it has been taken.

    `disks`: those of the machine to keep, when None all of its own that its guest may write to. `memory`: that of a
    running machine too, so that it can go on from there. `quiesce`: have the guest agent settle its file systems.
    Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "vm.edit", vm)
    require_virtual(vm)
    name, description = names.title(name, field="name", longest=names.LONGEST_NAME), names.description(description)
    if not name:
        raise Invalid(N_("A snapshot needs a name."), field="name", fix=N_("Say what it is good for."))
    present = list(vm.disks.filter(read_only=False).select_related("storage"))
    chosen = [disk for disk in present if disks is None or disk in disks]
    if not chosen or (disks is not None and len(chosen) != len(set(disks))):
        raise Invalid(N_("These are not disks of this machine."), field="disks", fix=N_("Choose some of its disks."))
    if memory and len(chosen) != len(present):
        raise Invalid(N_("Memory without all disks could never be woken."), field="disks", fix=N_("Choose all disks."))
    if memory:
        require_all_its_own(vm)
        host_devices.require_none(vm)
    require_usable(vm)
    for disk in chosen:
        require_files(disk.storage)
    require_power(vm, UP if memory or quiesce else SETTLED)
    require_kept(vm)
    taken = list(vm.snapshots.all())
    if name in {one.name for one in taken}:
        raise Conflict(
            N_("%(machine)s has a snapshot called %(name)s already."), rule="name.unique",
            fix=N_("Choose another name."), machine=vm.name, name=name,
        )  # fmt: skip
    if len(taken) >= MOST_SNAPSHOTS:
        raise Conflict(
            N_("%(name)s has %(most)s snapshots already."), rule="snapshot.most", fix=N_("Delete some first."),
            name=vm.name, most=MOST_SNAPSHOTS,
        )  # fmt: skip
    snapshot = uuid4()
    args: dict[str, Any] = {
        "snapshot": str(snapshot), "name": name, "description": description, "quiesce": bool(quiesce),
        "memory": f"{snapshot}.memory" if memory else "", "memory_storage": str(chosen[0].storage_id),
        "layers": [_layer(disk) for disk in chosen],
    }  # fmt: skip
    record(
        "vm.snapshot.asked", actor=actor, subject=vm, message=N_("A snapshot %(name)s of %(machine)s was asked for"),
        name=name, machine=vm.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    return enqueue("vm.take-snapshot", actor=actor, subject=vm, args=args)


def _layer(disk: Disk) -> dict[str, Any]:
    """Which image is frozen, and which one takes what is written from then on."""
    return {
        "disk": str(disk.pk), "target": disk.target, "storage": str(disk.storage_id), "old": disk.volume,
        "old_below": disk.below, "new": disk.volume_name(disk.generation + 1), "generation": disk.generation,
    }  # fmt: skip
