"""Name a place for disks: a directory on hosts, made by the first job that needs it, an NFS share, or iSCSI LUNs."""

from collections.abc import Collection, Mapping
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows, specs, storage_secret
from broker.virt.driver import LUN_PATHS
from broker.virt.models import Cluster, Host, StorageDomain
from broker.virt.storage_rules import MOUNTS, iscsi_target, nfs_share, require_chap


@transaction.atomic
def create_storage(
    *,
    actor: Actor,
    cluster: Cluster,
    name: str,
    path: str = "",
    host: Host | None = None,
    kind: str = "dir",
    server: str = "",
    export: str = "",
    version: str = "",
    mount: Mapping[str, Any] | None = None,
    luns: Collection[int] = (),
    user: str = "",
    password: str = "",
    wipe_after_delete: bool = False,
) -> StorageDomain:
    """`host`: the only host that has the directory; without it, all hosts of the cluster see the same files there.

    For kind "nfs", all hosts mount `export` of `server` at `path`, by default below MOUNTS; `version` is NFS's, empty
    for what they agree on, `mount` how they mount it (nfs_options.py).
    For kind "iscsi", `server` are the portals of the target `export` with commas between them, `luns` which of
    its LUNs are used (none: all), the lowest for Berth's own table; `user` and `password` are CHAP's.
    `wipe_after_delete` as in edit_storage.
    Raises Missing, Denied, Invalid, or Conflict (name taken, or a place that overlaps another storage).
    """
    require(actor, "storage.manage", cluster)
    storage = StorageDomain(cluster=cluster, name=names.name(name), kind=kind, host=host)
    storage.wipe_after_delete = bool(wipe_after_delete)
    if kind not in StorageDomain.Kind.values:
        raise Invalid(
            N_("There is no such kind of storage."), field="kind", fix=N_("Use one of: %(known)s."),
            known=", ".join(StorageDomain.Kind.values),
        )  # fmt: skip
    if kind == StorageDomain.Kind.NFS:
        _mount(storage, path, nfs_share(server, export, version, mount or {}))
    elif kind == StorageDomain.Kind.ISCSI:
        _log_in(storage, iscsi_target(server, export, luns), user, password)
    else:
        storage.path = names.directory(path)
    if host is not None and host.cluster_id != cluster.pk:
        raise Invalid(
            N_("%(host)s is in another cluster."), field="host", fix=N_("Choose a host of the cluster."), host=host.name
        )
    _refuse_overlap(storage)
    rows.insert(storage)
    record("storage.created", actor=actor, subject=storage, message=N_("Storage %(name)s was made"), name=storage.name)
    publish("storage", storage.pk, "created")
    return storage


def _refuse_host(storage: StorageDomain) -> None:
    if storage.host is not None:
        raise Invalid(
            N_("A share or a target is seen by all hosts."), field="host", fix=N_("Leave the host out.")
        )  # fmt: skip


def _mount(storage: StorageDomain, path: str, share: dict[str, Any]) -> None:
    _refuse_host(storage)
    for column, value in share.items():
        setattr(storage, column, value)
    storage.path = names.directory(path or f"{MOUNTS}/{storage.name}")


def _log_in(storage: StorageDomain, target: dict[str, Any], user: str, password: str) -> None:
    _refuse_host(storage)
    for column, value in target.items():
        setattr(storage, column, value)
    require_chap(user, password)
    storage.user, storage.secret = user, storage_secret.sealed(password) if password else ""
    storage.path = f"{LUN_PATHS}/{specs.storage_name(storage)}"
    for other in StorageDomain.objects.filter(kind=storage.kind, export=storage.export):
        if not other.luns or not storage.luns or set(other.luns) & set(storage.luns):
            raise Conflict(
                N_("The storage %(name)s uses these LUNs already."), rule="storage.share",
                fix=N_("Use that storage, or choose other LUNs."), name=other.name,
            )  # fmt: skip


def _refuse_overlap(storage: StorageDomain) -> None:
    if storage.kind == StorageDomain.Kind.NFS:
        twin = StorageDomain.objects.filter(server=storage.server, export=storage.export).first()
        if twin is not None:
            raise Conflict(
                N_("The storage %(name)s is this share already."), rule="storage.share",
                fix=N_("Use that storage, or another share."), name=twin.name,
            )  # fmt: skip
    for other in StorageDomain.objects.filter(cluster=storage.cluster):
        apart = storage.host_id and other.host_id and storage.host_id != other.host_id
        if not apart and (names.within(storage.path, other.path) or names.within(other.path, storage.path)):
            raise Conflict(
                N_("The directory overlaps that of the storage %(name)s (%(path)s)."),
                rule="storage.path", fix=N_("Choose another directory."), name=other.name, path=other.path,
            )  # fmt: skip
