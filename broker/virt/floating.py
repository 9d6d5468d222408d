"""Disks that change hands: a machine's Disk becomes a FloatingDisk and back. The id and the image stay the same.

A file that nothing refers to becomes one, too, once its own header says that QEMU may open it.
"""

from uuid import UUID

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from . import images
from .driver import HostConnection, StorageSpec, VolumeInfo
from .models import Disk, FloatingDisk

_HEAD = 65536


def let_float(disk: Disk, *, name: str, owner_id: UUID | str | None) -> FloatingDisk:
    """Take the row out of its machine. In a transaction."""
    floating = FloatingDisk.objects.create(
        pk=disk.pk, name=name, storage_id=disk.storage_id, generation=disk.generation, volume=disk.volume,
        size_bytes=disk.size_bytes, allocated_bytes=disk.allocated_bytes, owner_id=owner_id or None,
        wipe_after_delete=disk.wipe_after_delete,
    )  # fmt: skip
    Disk.objects.filter(pk=disk.pk).delete()
    return floating


def inspect(line: HostConnection, storage: StorageSpec, found: VolumeInfo) -> int:
    """The bytes a guest sees of a file that somebody left; raises Invalid for what QEMU may not open as it is."""
    try:
        return images.check_header(line.head_of_volume(storage, found.name, _HEAD))
    except Invalid as error:
        raise Invalid(
            N_("%(name)s cannot become a disk: %(cause)s"), field="name",
            fix=error.fix or N_("Convert it on the host, and look again."), name=found.name, cause=error.message,
        ) from error  # fmt: skip
