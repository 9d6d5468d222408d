"""What storage must be like for something new to be put on it."""

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_

from . import names
from .models import StorageDomain
from .states import STORAGE

NFS_VERSIONS = ("", "3", "4", "4.1", "4.2")
MOUNTS = "/var/lib/libvirt/berth"
"""Below it, hosts mount shared storage for which no directory is named."""


def require_usable(storage: StorageDomain) -> None:
    """Raise Conflict while nothing new may be put on `storage`."""
    if not STORAGE.is_(storage.state, "usable"):
        raise Conflict(
            N_("The storage %(name)s is in maintenance."),
            rule="storage.maintenance",
            fix=N_("Activate it, or choose another storage."),
            name=storage.name,
        )
    require_ours(storage)
    if storage.error:
        raise Conflict(
            N_("The storage %(name)s cannot be reached: %(error)s"),
            rule="storage.reachable",
            fix=N_("See to the storage, or choose another one."),
            name=storage.name,
            error=storage.error,
        )
    require_room(storage)


def require_ours(storage: StorageDomain) -> None:
    """Raise Conflict for a storage that another Berth says is its own."""
    if storage.held_by:
        raise Conflict(
            N_("The storage %(name)s belongs to another Berth."),
            rule="storage.held",
            fix=N_("Detach it there, or take it over on its page when that Berth is gone for good."),
            name=storage.name,
        )


def require_room(storage: StorageDomain, more: int = 0) -> None:
    """Raise Conflict when `storage` is full but for what is kept free, or would be with `more` bytes on it."""
    if not storage.capacity_bytes:
        return
    kept = storage.free_at("critical")
    if storage.level == "critical" or storage.available_bytes - more < kept:
        raise Conflict(
            N_("The storage %(name)s has %(free)s MiB free; %(more)s MiB are needed and %(kept)s MiB stay free."),
            rule="storage.room",
            fix=N_("Free space on it, choose another storage, or set its critical level lower."),
            name=storage.name,
            free=storage.available_bytes >> 20,
            more=more >> 20,
            kept=kept >> 20,
        )


def nfs_share(server: str, export: str, version: str) -> dict[str, str]:
    """The columns of an NFS share, checked. Raises Invalid."""
    if version not in NFS_VERSIONS:
        raise Invalid(
            N_("There is no such NFS version."), field="version",
            fix=N_("Use one of: %(known)s, or none for what server and hosts agree on."),
            known=", ".join(NFS_VERSIONS[1:]),
        )  # fmt: skip
    return {"server": names.server(server), "export": names.export(export), "version": version}
