"""What storage must be like for something new to be put on it."""

from collections.abc import Collection
from typing import Any

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_

from . import names, nfs_options
from .models import StorageDomain
from .states import STORAGE
from .storage_notes import holder

NFS_VERSIONS = ("", "3", "4", "4.1", "4.2")
MOST_PORTALS, MOST_LUN = 4, 16383
MOUNTS = "/var/lib/libvirt/berth"
"""Below it, hosts mount shared storage for which no directory is named."""


def require_usable(storage: StorageDomain, *, luns: bool = False) -> None:
    """Raise Conflict while nothing new may be put on `storage`; `luns`: what comes there, a LUN takes, too."""
    if not luns:
        require_files(storage)
    if not STORAGE.is_(storage.state, "usable"):
        raise Conflict(
            N_("The storage %(name)s is in maintenance."),
            rule="storage.maintenance",
            about=storage,
            fix=N_("Activate it, or choose another storage."),
            name=storage.name,
        )
    require_ours(storage)
    if storage.error:
        raise Conflict(
            N_("The storage %(name)s cannot be reached: %(error)s"),
            rule="storage.reachable",
            about=storage,
            fix=N_("See to the storage, or choose another one."),
            name=storage.name,
            error=storage.error,
        )
    require_room(storage)


def require_files(storage: StorageDomain) -> None:
    """Raise Conflict for a storage without files: on a LUN is one image, which lies on no other and bears none."""
    if storage.kind == StorageDomain.Kind.ISCSI:
        raise Conflict(
            N_("%(name)s is iSCSI: a LUN holds one disk, and neither snapshots, templates nor files."),
            rule="storage.files",
            about=storage,
            fix=N_("Choose another storage, or move the machine's disks to one first."),
            name=storage.name,
        )


def require_ours(storage: StorageDomain) -> None:
    """Raise Conflict for a storage that another Berth says is its own."""
    if storage.held_by:
        raise Conflict(
            N_("The storage %(name)s belongs to another Berth (%(holder)s)."),
            rule="storage.held",
            about=storage,
            fix=N_("Detach it there, or take it over on its page when that Berth is gone for good."),
            name=storage.name,
            holder=holder(storage.found),
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
            about=storage,
            fix=N_("Free space on it, choose another storage, or set its critical level lower."),
            name=storage.name,
            free=storage.available_bytes >> 20,
            more=more >> 20,
            kept=kept >> 20,
        )


def iscsi_target(server: str, export: str, luns: Collection[int]) -> dict[str, Any]:
    """The columns of an iSCSI target, checked: `server` are its portals, `export` its name. Raises Invalid."""
    portals = [names.portal(one) for one in server.replace(",", " ").split()]
    if not 0 < len(portals) <= MOST_PORTALS:
        raise Invalid(
            N_("Name one to %(most)s portals."), field="server", most=MOST_PORTALS,
            fix=N_("Write them like 192.0.2.10, 192.0.2.11:3260."),
        )  # fmt: skip
    chosen = sorted({names.number(one, field="luns", least=0, most=MOST_LUN) for one in luns})
    if len(chosen) == 1:
        raise Invalid(
            N_("One LUN is not enough: the first is for Berth's table of the others."), field="luns",
            fix=N_("Choose two or more, a small one first, or none for all."),
        )  # fmt: skip
    return {"server": ",".join(portals), "export": names.iqn(export), "luns": chosen}


def nfs_share(server: str, export: str, version: str, mount: Any) -> dict[str, Any]:
    """The columns of an NFS share, checked. Raises Invalid."""
    if version not in NFS_VERSIONS:
        raise Invalid(
            N_("There is no such NFS version."), field="version",
            fix=N_("Use one of: %(known)s, or none for what server and hosts agree on."),
            known=", ".join(NFS_VERSIONS[1:]),
        )  # fmt: skip
    share = {"server": names.server(server), "export": names.export(export), "version": version}
    return {**share, "mount": nfs_options.chosen(mount)}


def require_chap(user: str, password: str) -> None:
    """Raise Invalid unless these are both empty, or what CHAP takes."""
    if bool(user) != bool(password) or len(user) > 223 or len(password) > 255 or not (user + password).isprintable():
        raise Invalid(
            N_("For CHAP, a user and a password are needed."), field="password",
            fix=N_("Give both, or none where the target asks for none."),
        )  # fmt: skip
