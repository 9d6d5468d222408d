"""Remove a storage domain that nothing lies on; its directory stays as it is."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import rows
from broker.virt.models import StorageDomain


@transaction.atomic
def delete_storage(*, actor: Actor, storage: StorageDomain) -> None:
    """Raises Missing, Denied, or Conflict naming who uses it."""
    require(actor, "storage.manage", storage)
    pk = storage.pk
    rows.remove(storage)
    record(
        "storage.deleted", actor=actor, subject=storage, message=N_("Storage %(name)s was removed"), name=storage.name
    )
    publish("storage", pk, "deleted")
