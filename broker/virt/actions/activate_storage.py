"""Put a storage domain back into service."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import StorageDomain
from broker.virt.states import STORAGE


@transaction.atomic
def activate_storage(*, actor: Actor, storage: StorageDomain) -> StorageDomain:
    """Raises Missing, Denied, or Conflict when it is so already."""
    require(actor, "storage.manage", storage)
    STORAGE.move(storage, "activate")
    record("storage.activate", actor=actor, subject=storage, message=N_("%(name)s was put into service"),
           name=storage.name)  # fmt: skip
    publish("storage", storage.pk, "changed")
    return storage
