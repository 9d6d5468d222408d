"""Name a directory on hosts as a place for disks. The first job that needs it makes it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import Cluster, Host, StorageDomain


@transaction.atomic
def create_storage(*, actor: Actor, cluster: Cluster, name: str, path: str, host: Host | None = None) -> StorageDomain:
    """`host`: the only host that has the directory; without it, all hosts of the cluster see the same files there.

    Raises Missing, Denied, Invalid, or Conflict (name taken, or a directory that overlaps another storage).
    """
    require(actor, "storage.manage", cluster)
    storage = StorageDomain(cluster=cluster, name=names.name(name), path=names.directory(path), host=host)
    if host is not None and host.cluster_id != cluster.pk:
        raise Invalid(
            N_("%(host)s is in another cluster."), field="host", fix=N_("Choose a host of the cluster."), host=host.name
        )
    _refuse_overlap(storage)
    rows.insert(storage)
    record("storage.created", actor=actor, subject=storage, message=N_("Storage %(name)s was made"), name=storage.name)
    publish("storage", storage.pk, "created")
    return storage


def _refuse_overlap(storage: StorageDomain) -> None:
    for other in StorageDomain.objects.filter(cluster=storage.cluster):
        apart = storage.host_id and other.host_id and storage.host_id != other.host_id
        if not apart and (names.within(storage.path, other.path) or names.within(other.path, storage.path)):
            raise Conflict(
                N_("The directory overlaps that of the storage %(name)s (%(path)s)."),
                rule="storage.path", fix=N_("Choose another directory."), name=other.name, path=other.path,
            )  # fmt: skip
