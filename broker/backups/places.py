"""Where a target is on the hosts, and which host can reach it."""

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.virt import specs
from broker.virt.driver import StorageSpec, VolumeInfo
from broker.virt.models import Host, StorageDomain
from broker.virt.states import HOST

from .models import Backup, BackupDisk, BackupTarget


def spec(target: BackupTarget) -> StorageSpec:
    """The target as drivers know it."""
    if target.storage is not None:
        return specs.storage_spec(target.storage)
    return StorageSpec(name=f"berth-backup-{target.id.hex[:8]}", kind="dir", path=target.path)


def bound_to(target: BackupTarget) -> Host | None:
    """The only host that sees the target, None when all of its cluster do."""
    place: BackupTarget | StorageDomain = target.storage or target
    return place.host


def host_for(target: BackupTarget) -> Host:
    """A host that can reach the target now. Raises Conflict when there is none."""
    if (only := bound_to(target)) is not None:
        return only
    hosts = Host.objects.filter(cluster_id=target.cluster_id, error="", state__in=HOST.sets["schedulable"])
    host = hosts.order_by("-observed_at").first()
    if host is None:
        raise Conflict(
            N_("No host of %(cluster)s can reach %(name)s now."), rule="backup.host",
            fix=N_("Bring a host of the cluster back."), cluster=target.cluster.name, name=target.name,
        )  # fmt: skip
    return host


def chain(backup: Backup) -> list[Backup]:
    """The backup and all it builds on, the full one first."""
    found = [backup]
    while found[0].parent_id is not None:
        found.insert(0, Backup.objects.select_related("target").get(pk=found[0].parent_id))
    return found


def volume(target: BackupTarget, disk: BackupDisk) -> VolumeInfo:
    """A backup's file as a source of copies; QEMU finds those it builds on by itself."""
    return VolumeInfo(
        name=disk.volume, path=f"{spec(target).path.rstrip('/')}/{disk.volume}", format="qcow2",
        capacity=disk.capacity_bytes, allocation=disk.size_bytes,
    )  # fmt: skip


def files_on(storage: StorageDomain) -> set[str]:
    """The files of backups whose target is that storage."""
    rows = BackupDisk.objects.filter(backup__target__storage=storage)
    return {name for volume in rows.values_list("volume", flat=True) for name in (volume, f"{volume}.part")}
