"""What a move of a machine takes: which disks have to be copied along and where to, and the order for the driver."""

from collections.abc import Iterable
from uuid import UUID

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.virt import specs
from broker.virt.driver import DiskCopy, MigrationOrder
from broker.virt.models import Disk, Host, StorageDomain, VirtualMachine
from broker.virt.states import StorageState

from .policies import Policy, Rules
from .reach import address, encryptable, peer_uri


def copied(vm: VirtualMachine) -> list[Disk]:
    """The disks that only the machine's present host sees, they or the image below them."""
    version = vm.template_version if vm.linked else None
    below_is_local = version is not None and version.storage.host_id is not None
    return [disk for disk in vm.disks.all() if disk.storage.host_id is not None or below_is_local]


def needed(vm: VirtualMachine) -> set[UUID]:
    """The storages that another host must see to take the machine."""
    along = {disk.pk for disk in copied(vm)}
    stay = [disk for disk in vm.disks.all() if disk.pk not in along]
    storages = {disk.storage_id for disk in stay}
    if stay and vm.linked and vm.template_version is not None:
        storages.add(vm.template_version.storage_id)
    return storages | {storage.pk for storage in specs.other_storages(vm)}


def room_for(disks: Iterable[Disk], target: Host) -> StorageDomain:
    """The storage of `target` that takes copies of `disks`: its own first, of these the one with most room.

    Raises Conflict when none has room for all of them.
    """
    size = sum(disk.size_bytes for disk in disks)
    blind = target.attachments.exclude(error="").values("storage")
    usable = StorageDomain.objects.filter(cluster=target.cluster_id, state=StorageState.ACTIVE, error="").exclude(
        kind=StorageDomain.Kind.ISCSI
    )
    seen = [one for one in usable.exclude(pk__in=blind) if one.host_id in (None, target.pk)]
    fit = [one for one in seen if not one.capacity_bytes or one.available_bytes >= size]
    if not fit:
        raise Conflict(
            N_("%(host)s has no storage with room for the disks that have to be copied there."),
            rule="migration.storage",
            fix=N_("Add storage to the host, or move the disks to storage that both hosts see."),
            host=target.name,
        )
    return max(fit, key=lambda one: (one.host_id is not None, one.available_bytes, one.name))


def copy_path(disk: Disk, storage: StorageDomain) -> str:
    """Where the copy of `disk` lies on the new host."""
    return specs.volume_path(storage, disk.volume)


def order_of(
    vm: VirtualMachine, target: Host, rules: Rules, policy: Policy, copies: Iterable[tuple[Disk, StorageDomain]]
) -> MigrationOrder:
    """What the driver is asked for."""
    encrypted, parallel = rules.encrypted and encryptable(target), rules.parallel or policy.parallel
    return MigrationOrder(
        uri=peer_uri(target),
        encrypted=encrypted,
        # A directory is shared because an administrator says so, a share because Berth has both hosts mount the same;
        # the hypervisor has no way to tell the one, and of the other it knows only some kinds of file system.
        seen_alike=any(disk.storage.kind != StorageDomain.Kind.ISCSI for disk in vm.disks.all()),
        bandwidth_mib=rules.bandwidth_mib,
        parallel=parallel,
        zero_copy=policy.zero_copy and not encrypted and parallel > 1,
        auto_converge=policy.auto_converge,
        compressed=policy.compressed,
        post_copy=policy.post_copy,
        copies=tuple(DiskCopy(disk.target, copy_path(disk, storage)) for disk, storage in copies),
        console_host=address(target) if "spice" in (vm.graphics or []) else "",
    )
