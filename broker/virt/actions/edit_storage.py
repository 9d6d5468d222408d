"""Rename a storage domain. Its directory stays: disks lie there."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import StorageDomain


@transaction.atomic
def edit_storage(*, actor: Actor, storage: StorageDomain, name: str | None = None) -> StorageDomain:
    """Raises Missing, Denied, Invalid or Conflict (the name is taken)."""
    require(actor, "storage.manage", storage)
    if rows.change(storage, {"name": None if name is None else names.name(name)}):
        record("storage.edited", actor=actor, subject=storage, message=N_("Storage %(name)s was changed"),
               name=storage.name)  # fmt: skip
        publish("storage", storage.pk, "changed")
    return storage
