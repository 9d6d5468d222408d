"""Make a machine like another one: full copies of its disks, its hardware, cards on the same networks."""

from uuid import uuid4

from django.db import transaction

from broker.access.actor import Actor
from broker.access.making import give_to_maker
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import macs, names, pending, quotas, rows, specs
from broker.virt.asking import require_idle, require_power, require_usable
from broker.virt.cloning import Original, originals
from broker.virt.driver import PowerState
from broker.virt.models import Disk, Nic, OwnField, Snapshot, StorageDomain, Tag, VirtualMachine
from broker.virt.storage_rules import require_usable as require_usable_storage

OFF = (PowerState.OFF, PowerState.CRASHED)


@transaction.atomic
def clone_vm(
    *,
    actor: Actor,
    vm: VirtualMachine,
    name: str,
    title: str = "",
    snapshot: Snapshot | None = None,
    storage: StorageDomain | None = None,
    seal: bool = False,
    start: bool = False,
) -> Job:
    """Write the new machine's row and enqueue the rest; returns the job, whose `subject_id` is the new machine's id.

    `snapshot`: its disks as this one of the machine's snapshots holds them; the machine may run meanwhile.
    `storage`: where its disks go, by default where the originals are. `seal`: take out of its first disk what makes
    the original itself (host keys, machine id, logs). It has a UUID and MAC addresses of its own in any case.
    Raises Missing, Denied, Invalid, Conflict (without a snapshot it has to be off), OverQuota or Busy.
    """
    require(actor, "vm.edit", vm)
    require(actor, "vm.create", vm.cluster)
    if storage is not None:
        require(actor, "storage.view", storage)
    name, title = names.name(name), names.title(title)
    vm = VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    require_usable(vm)
    if snapshot is None:
        require_power(vm, OFF)
    require_idle(vm)
    disks = originals(vm, snapshot)
    _check_places(vm, disks, storage)
    pending.fold(vm)
    clone = VirtualMachine(
        cluster_id=vm.cluster_id, host_id=vm.host_id, template_version_id=vm.template_version_id, owner=actor.user,
        linked=False, instance_type_id=vm.instance_type_id, name=name, title=title, description=vm.description,
        notes=vm.notes, vcpus=vm.vcpus, memory_mib=vm.memory_mib, machine=vm.machine, graphics=list(vm.graphics),
        options=dict(vm.options), labels=list(vm.labels), power_state=PowerState.UNKNOWN,
    )  # fmt: skip
    size = sum(disk.size_bytes for disk in disks)
    quotas.claim_creation(actor, clone, disk_bytes=size, start=start)
    rows.insert(clone)
    copies = {str(_disk(clone, disk, storage or disk.storage).pk): str(disk.disk.pk) for disk in disks}
    cards = [
        Nic(
            vm=clone, network_id=nic.network_id, order=nic.order, model=nic.model, connected=nic.connected,
            in_kib=nic.in_kib, out_kib=nic.out_kib, guard=nic.guard,
        )
        for nic in vm.nics.all()
    ]  # fmt: skip
    macs.plug_all(cards)
    Tag.objects.bulk_create([Tag(vm=clone, name=tag.name) for tag in vm.tags.all()])
    OwnField.objects.bulk_create([OwnField(vm=clone, name=one.name, value=one.value) for one in vm.own_fields.all()])
    give_to_maker(actor, "vm-manager", clone)
    record(
        "vm.clone.asked", actor=actor, subject=clone, message=N_("%(name)s was asked for, as a copy of %(source)s"),
        name=name, source=vm.name,
    )  # fmt: skip
    publish("vm", clone.pk, "created")
    args = {
        "start": bool(start), "source": str(vm.pk), "copies": copies, "seal": bool(seal),
        "snapshot": str(snapshot.pk) if snapshot else "",
    }  # fmt: skip
    return enqueue("vm.create", actor=actor, subject=clone, args=args)


def _check_places(vm: VirtualMachine, disks: list[Original], storage: StorageDomain | None) -> None:
    if vm.host_id is None or not disks:
        raise Conflict(
            N_("%(name)s has no disk on a host that could be copied."), rule="disk.present",
            fix=N_("Choose another machine."), name=vm.name,
        )  # fmt: skip
    for place in {storage} if storage is not None else {disk.storage for disk in disks}:
        require_usable_storage(place, luns=True)
        if place.cluster_id != vm.cluster_id or (place.host_id is not None and place.host_id != vm.host_id):
            raise Invalid(
                N_("%(host)s, on which the machine is, does not see %(storage)s."), field="storage",
                fix=N_("Choose storage of that host, or shared storage."), host=vm.host, storage=place.name,
            )  # fmt: skip


def _disk(clone: VirtualMachine, like: Original, storage: StorageDomain) -> Disk:
    disk = Disk(
        id=uuid4(), vm=clone, storage=storage, size_bytes=like.size_bytes, target=like.disk.target,
        order=like.disk.order, wipe_after_delete=like.disk.wipe_after_delete,
    )  # fmt: skip
    disk.volume = disk.volume_name(0)
    disk.path = specs.volume_path(storage, disk.volume)
    disk.save(force_insert=True)
    return disk
