"""Move disks of a machine to another storage, also while it runs: one job, as many disks as were asked for."""

from collections.abc import Collection
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import names
from broker.virt.asking import require_power, require_usable
from broker.virt.disk_rules import SETTLED, most_taken, require_kept, require_unfrozen
from broker.virt.driver import PowerState
from broker.virt.models import Disk, StorageDomain, VirtualMachine
from broker.virt.plans.vm_move_disks import entry_of
from broker.virt.storage_rules import require_room
from broker.virt.storage_rules import require_usable as require_usable_storage

MOST_MIB = 1 << 20  # a second
_OFF = (PowerState.OFF, PowerState.CRASHED)


@transaction.atomic
def move_disks(
    *,
    actor: Actor,
    vm: VirtualMachine,
    storage: StorageDomain,
    disks: Collection[Disk] | None = None,
    bandwidth_mib: int = 0,
) -> Job:
    """Enqueue it. `disks`: all that are not there when None; `bandwidth_mib`: at most so much a second, 0: no limit.

    A disk that lies on a template's image is whole of itself afterwards. One that is there already is written anew
    when it is named and the machine is off: blocks of zeroes take no space any more. Raises Missing, Denied, Invalid,
    Conflict or Busy.
    """
    require(actor, "vm.edit", vm)
    require(actor, "storage.view", storage)
    bandwidth = names.number(bandwidth_mib, field="bandwidth_mib", least=0, most=MOST_MIB)
    require_usable(vm)
    require_power(vm, SETTLED)
    require_kept(vm)
    chosen = _chosen(vm, storage, disks)
    if storage.cluster_id != vm.cluster_id or storage.host_id not in (None, vm.host_id):
        raise Invalid(
            N_("The machine's host does not see %(name)s."), field="storage",
            fix=N_("Choose a storage of its host, or one that the whole cluster shares."), name=storage.name,
        )  # fmt: skip
    require_usable_storage(storage, luns=True)
    for disk in chosen:
        require_unfrozen(disk)
    require_room(storage, sum(most_taken(vm, disk) for disk in chosen))
    record(
        "vm.disks.move.asked", actor=actor, subject=vm,
        message=N_("A move of %(disks)s of %(name)s to %(storage)s was asked for"),
        disks=", ".join(disk.target for disk in chosen), name=vm.name, storage=storage.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    args: dict[str, Any] = {
        "moves": [entry_of(disk, storage) for disk in chosen], "bandwidth": bandwidth << 20, "storage": storage.name,
    }  # fmt: skip
    return enqueue("vm.move-disks", actor=actor, subject=vm, args=args)


def _chosen(vm: VirtualMachine, storage: StorageDomain, disks: Collection[Disk] | None) -> list[Disk]:
    present = list(vm.disks.select_related("storage"))
    if disks is None:
        chosen = [disk for disk in present if disk.storage_id != storage.pk]
    else:
        chosen = [disk for disk in present if disk in disks]
        if len(chosen) != len(disks):
            raise Invalid(N_("There is no such disk."), field="disks", fix=N_("Choose disks of the machine."))
        if vm.power_state not in _OFF and any(disk.storage_id == storage.pk for disk in chosen):
            raise Conflict(
                N_("A disk can be written anew on %(storage)s only while %(name)s is off."), rule="disk.rewrite",
                fix=N_("Shut it down first, or choose another storage."), storage=storage.name, name=vm.name,
            )  # fmt: skip
    if not chosen:
        raise Conflict(
            N_("All disks of %(name)s are on %(storage)s."), rule="disk.elsewhere", fix=N_("Choose another storage."),
            name=vm.name, storage=storage.name,
        )  # fmt: skip
    return chosen
