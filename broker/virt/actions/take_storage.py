"""Take over a storage whose notes say that another Berth uses it, because that one is gone for good."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt.models import StorageDomain
from broker.virt.storage_duty import TAKEN


@transaction.atomic
def take_storage(*, actor: Actor, storage: StorageDomain) -> StorageDomain:
    """What lies on it can be imported from then on. Raises Missing, Denied, or Conflict when nobody else holds it."""
    require(actor, "storage.manage", storage)
    if not storage.held_by:
        raise Conflict(
            N_("No other Berth holds the storage %(name)s."),
            rule="storage.held",
            fix=N_("It can be used as it is."),
            name=storage.name,
        )
    StorageDomain.objects.filter(pk=storage.pk).update(held_by="", noted=TAKEN)
    storage.held_by, storage.noted = "", TAKEN
    record("storage.taken", actor=actor, subject=storage, severity="warning",
           message=N_("%(name)s was taken over from another Berth"), name=storage.name)  # fmt: skip
    publish("storage", storage.pk, "changed")
    return storage
