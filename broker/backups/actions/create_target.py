"""Name a place for backups: a storage domain, or a directory of its own on the hosts."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.backups.models import BackupTarget
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import Cluster, Host, StorageDomain
from broker.virt.storage_rules import require_files


@transaction.atomic
def create_target(
    *,
    actor: Actor,
    cluster: Cluster,
    name: str,
    path: str = "",
    host: Host | None = None,
    storage: StorageDomain | None = None,
) -> BackupTarget:
    """Either `storage`, or `path`: a directory on `host` alone or, without one, the same files on all hosts.

    Raises Missing, Denied, Invalid, or Conflict (name taken, or a directory that disks lie in).
    """
    require(actor, "backup.manage", cluster)
    if (storage is None) == (not path):
        raise Invalid(
            N_("A target is a storage or a directory."), field="path", fix=N_("Name one of the two, not both.")
        )
    for field, thing in (("storage", storage), ("host", host)):
        if thing is not None and thing.cluster_id != cluster.pk:
            raise Invalid(
                N_("%(name)s belongs to another cluster."), field=field, fix=N_("Choose one of the target's cluster."),
                name=thing.name,
            )  # fmt: skip
    if storage is not None:
        require(actor, "storage.view", storage)
        require_files(storage)
        target = BackupTarget(cluster=cluster, name=names.name(name), storage=storage)
    else:
        target = BackupTarget(cluster=cluster, name=names.name(name), path=names.directory(path), host=host)
        _refuse_overlap(target)
    rows.insert(target)
    record("backup-target.created", actor=actor, subject=target, message=N_("The backup target %(name)s was made"),
           name=target.name)  # fmt: skip
    publish("backup-target", target.pk, "created")
    return target


def _refuse_overlap(target: BackupTarget) -> None:
    places: list[StorageDomain | BackupTarget] = [*StorageDomain.objects.filter(cluster=target.cluster)]
    for other in [*places, *BackupTarget.objects.filter(cluster=target.cluster, storage=None)]:
        apart = target.host_id and other.host_id and target.host_id != other.host_id
        if not apart and (names.within(target.path, other.path) or names.within(other.path, target.path)):
            raise Conflict(
                N_("The directory overlaps that of %(name)s (%(path)s)."), rule="storage.path",
                fix=N_("Choose another directory."), name=other.name, path=other.path,
            )  # fmt: skip
