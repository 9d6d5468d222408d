"""Which hosts see a storage that several should see: asked of each host now and then, written where it differs."""

from django.db import transaction

from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.sql import Given, Statement
from broker.virt import specs
from broker.virt.driver import HostConnection, HostUnreachable, NotFound, StorageInfo
from broker.virt.models import Host, StorageAttachment, StorageDomain
from broker.virt.states import STORAGE, StorageState

from .surprise import MONITOR


def look(host: Host, connection: HostConnection) -> None:
    """Write down which of the cluster's shared storages `host` sees. A host alone in its cluster shares none."""
    if not _OTHERS.rows(cluster=host.cluster_id, host=host.pk):
        return
    for storage in _SHARED.objects(cluster=host.cluster_id):
        try:
            if look_at(storage, connection) is not None:
                tell(host, storage, "")
        except HostUnreachable:
            raise
        except BerthError as error:
            tell(host, storage, str(error))


_OTHERS = Statement(
    lambda: Host.objects.filter(cluster=Given("cluster")).exclude(pk=Given("host")).order_by().values_list("pk")[:1]
)
_SHARED = Statement(
    lambda: StorageDomain.objects.filter(
        cluster=Given("cluster"), host__isnull=True, state=StorageState.ACTIVE
    ).order_by("pk")
)
_KNOWN = Statement(
    lambda: StorageAttachment.objects.filter(host=Given("host"), storage=Given("storage")).order_by("pk")
)


def look_at(storage: StorageDomain, connection: HostConnection) -> StorageInfo | None:
    """Its capacity. A share is mounted first where it is in service; a directory is made by the first job alone."""
    spec = specs.storage_spec(storage)
    if storage.mounted and STORAGE.is_(storage.state, "usable"):
        return connection.ensure_storage(spec)
    try:
        return connection.storage(spec)
    except NotFound:
        return None


def seen_elsewhere(host: Host, storage: StorageDomain) -> bool:
    """Whether another host sees the storage."""
    return StorageAttachment.objects.filter(storage=storage, error="").exclude(host=host).exists()


def tell(host: Host, storage: StorageDomain, error: str) -> None:
    """Write what `host` said of the storage (`error` empty: it sees it); an event tells when it gets worse."""
    known = next(iter(_KNOWN.objects(host=host.pk, storage=storage.pk)), None)
    if known is not None and known.error == error:
        return
    with transaction.atomic():
        StorageAttachment.objects.update_or_create(
            host=host, storage=storage, defaults={"error": error, "observed_at": clock.now()}
        )
        if error and not (known and known.error):
            record(
                "storage.unseen", actor=MONITOR, subject=host, severity="error",
                message=N_("%(name)s does not see the storage %(storage)s: %(cause)s"),
                name=host.name, storage=storage.name, cause=error,
            )  # fmt: skip
        publish("storage", storage.pk, "changed")
