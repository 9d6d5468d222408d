"""Whether what is deleted is overwritten with zeroes first.

A disk says so itself or leaves it to its storage. It counts for every file or LUN that ever was an image of the disk:
also what a move, a conversion or a merged snapshot leaves, and what was begun and taken back. Other volumes (templates,
images of the library, words for cloud-init, left-over files) go by their storage alone.
"""

from uuid import UUID

from .models import Disk, FloatingDisk, StorageDomain, VirtualMachine
from .models.disk import Wipe


def of_disk(disk: UUID | str, storage: StorageDomain) -> bool:
    """Of an image of this disk on `storage`; of a disk that has no row any more the storage says it."""
    for model in (Disk, FloatingDisk):
        if (row := model._default_manager.filter(pk=disk).values("wipe_after_delete").first()) is not None:
            return effective(row["wipe_after_delete"], storage)
    return storage.wipe_after_delete


def of_memory(vm: VirtualMachine, storage: StorageDomain) -> bool:
    """Of a machine's saved memory, in which parts of its disks are."""
    return storage.wipe_after_delete or any(of_row(disk) for disk in vm.disks.select_related("storage"))


def of_row(disk: Disk | FloatingDisk) -> bool:
    return effective(disk.wipe_after_delete, disk.storage)


def effective(wish: str, storage: StorageDomain) -> bool:
    """What a disk's wish comes to on `storage`."""
    return storage.wipe_after_delete if wish == Wipe.STORAGE else wish == Wipe.ON
