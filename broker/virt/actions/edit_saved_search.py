"""Change a saved search."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt import rows, saved
from broker.virt.models import SavedSearch


@transaction.atomic
def edit_saved_search(*, actor: Actor, search: SavedSearch, **values: Any) -> SavedSearch:
    """`values`: name, text, columns, shared; those left out stay. Raises Missing, Denied, Invalid or Conflict."""
    saved.require_own(actor, search)
    if rows.change(search, saved.checked(actor, values)):
        record("search.changed", actor=actor, subject=search, message=N_("The search %(name)s was changed"),
               name=search.name)  # fmt: skip
    return search
