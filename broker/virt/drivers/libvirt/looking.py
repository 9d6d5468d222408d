"""What libvirt knows of a pool's files, and having it look again.

It does not see files that came or went behind its back, and does not look while it copies a volume of that pool.
"""

import time

import libvirt

from broker.virt.driver import Locked
from broker.virt.drivers.libvirt.errors import family

_PATIENCE = 60.0
"""Seconds that copies have to end in, or to leave a gap; whoever asked tries again later."""
_PAUSE = 0.1


def refresh(pool: libvirt.virStoragePool) -> None:
    """Read the pool's directory anew. While a volume is being copied libvirt does not, and what it knows counts."""
    try:
        pool.refresh(0)
    except libvirt.libvirtError as error:
        if family(error) is not Locked:
            raise


def see(pool: libvirt.virStoragePool) -> None:
    """As `refresh`, but it is done in any case: raises what libvirt says when copies left no gap for it in a minute."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            pool.refresh(0)
        except libvirt.libvirtError as error:
            if family(error) is not Locked or time.monotonic() > until:
                raise
            time.sleep(_PAUSE)
        else:
            return


def look_up(pool: libvirt.virStoragePool, name: str, *, fresh: bool = True) -> libvirt.virStorageVol | None:
    """The volume, or None; with `fresh`, files that came or went behind libvirt's back count too."""
    try:
        volume = pool.storageVolLookupByName(name)
        volume.info()  # fails when the file is gone
        return volume
    except libvirt.libvirtError:
        if not fresh:
            return None
    refresh(pool)
    try:
        return pool.storageVolLookupByName(name)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_VOL:
            return None
        raise
