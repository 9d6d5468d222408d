"""Remove a saved search."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt import saved
from broker.virt.models import SavedSearch


@transaction.atomic
def delete_saved_search(*, actor: Actor, search: SavedSearch) -> None:
    """Raises Missing, or Denied when it belongs to somebody else."""
    saved.require_own(actor, search)
    record("search.removed", actor=actor, subject=search, message=N_("The search %(name)s was removed"),
           name=search.name)  # fmt: skip
    search.delete()
