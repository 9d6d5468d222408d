"""Which image is at fault when a machine does not start: QEMU's own words name a node and not always a file."""

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context

from . import work
from .models import Disk, SnapshotDisk, StorageDomain, VirtualMachine
from .models.disk import image_format


def volumes_of(disk: Disk) -> tuple[str, ...]:
    """Its volumes from the top down, as the rows have them."""
    below = dict(SnapshotDisk.objects.filter(disk=disk).values_list("volume", "below"))
    found, name = [disk.volume], disk.below
    while name and name not in found:
        found.append(name)
        name = below.get(name, "")
    return tuple(found)


def blame(ctx: Context, vm: VirtualMachine) -> Conflict | None:
    """What to say of the first image that is gone or is not what it was any more; None when all are there."""
    needed: dict[StorageDomain, list[tuple[str, str]]] = {}
    for disk in vm.disks.all():
        kinds = [(volume, image_format(disk.pk, volume)) for volume in volumes_of(disk)]
        needed.setdefault(disk.storage, []).extend(kinds)
    if vm.linked and vm.template_version is not None:
        needed.setdefault(vm.template_version.storage, []).append((vm.template_version.volume, "qcow2"))
    for storage, volumes in needed.items():
        if storage.kind == StorageDomain.Kind.ISCSI:
            continue
        seen = work.with_storage(ctx, work.host_of(vm), storage, lambda line, spec: line.volumes(spec))
        formats = {one.name: one.format for one in seen}
        for volume, kind in volumes:
            # a raw one may look like anything
            if volume not in formats or (kind == "qcow2" and formats[volume] != kind):
                return Conflict(
                    N_("%(name)s cannot start: its image %(volume)s on %(storage)s is damaged.")
                    if volume in formats
                    else N_("%(name)s cannot start: its image %(volume)s on %(storage)s is not there."),
                    rule="disk.image",
                    fix=N_("Put the file back, or restore a backup. Other machines on the same template need it, too."),
                    name=vm.name, volume=volume, storage=storage.name,
                )  # fmt: skip
    return None
