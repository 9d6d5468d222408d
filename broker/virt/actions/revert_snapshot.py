"""Put a machine back to a snapshot: what was written since is dropped."""

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
from broker.virt.disk_rules import require_kept
from broker.virt.models import Snapshot


@transaction.atomic
def revert_snapshot(*, actor: Actor, snapshot: Snapshot, start: bool = False) -> Job:
    """Enqueue it. A running machine is powered off first; one with memory goes on where it was when it was taken.

    `start`: start one without memory afterwards. Snapshots taken later stay.
    Raises Missing, Denied, Conflict, OverQuota or Busy.
    """
    vm = snapshot.vm
    require(actor, "vm.edit", vm)
    require_usable(vm)
    require_kept(vm)
    swap = _swap(snapshot)
    if vm.host_id is None or not swap:
        raise Conflict(
            N_("There is nothing to go back to in %(name)s."), rule="snapshot.whole",
            fix=N_("Choose another snapshot."), name=snapshot.name,
        )  # fmt: skip
    if start or snapshot.memory:
        quotas.claim_start(actor, vm)
    record(
        "vm.revert.asked", actor=actor, subject=vm,
        message=N_("Putting %(machine)s back to %(name)s was asked for"), machine=vm.name, name=snapshot.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    was = vm.snapshots.filter(current=True).first()
    args = {
        "snapshot": str(snapshot.pk), "swap": swap, "start": bool(start), "was_current": str(was.pk) if was else "",
    }  # fmt: skip
    return enqueue("vm.revert", actor=actor, subject=vm, args=args)


def _swap(snapshot: Snapshot) -> list[dict[str, Any]]:
    """For each disk: the image it has, the one it gets, and the frozen one below that."""
    return [
        {
            "disk": str(frozen.disk_id), "target": frozen.disk.target, "storage": str(frozen.storage_id),
            "old": frozen.disk.volume, "old_below": frozen.disk.below, "was_size": frozen.disk.size_bytes,
            "new": frozen.disk.volume_name(frozen.disk.generation + 1), "below": frozen.volume,
            "size": frozen.size_bytes, "generation": frozen.disk.generation,
        }
        for frozen in snapshot.disks.select_related("disk")
    ]  # fmt: skip
