"""Save a search for machines under a name."""

from collections.abc import Iterable

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require_within
from broker.core.errors import Conflict, Denied
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt import rows, saved
from broker.virt.models import SavedSearch


@transaction.atomic
def create_saved_search(
    *, actor: Actor, name: str, text: str = "", columns: Iterable[str] = (), shared: bool = False
) -> SavedSearch:
    """`columns` by their names in saved.COLUMNS, none for the usual ones; `shared` takes the right to change machines.

    Raises Denied, Invalid (the text cannot be read), or Conflict (one's own has that name, or there are too many).
    """
    if actor.user is None:
        raise Denied(N_("A saved search belongs to somebody who signed in."), fix=N_("Sign in first."))
    require_within(actor)
    values = saved.checked(actor, {"name": name, "text": text, "columns": list(columns), "shared": shared})
    if SavedSearch.objects.filter(owner=actor.user_id).count() >= saved.MOST_EACH:
        raise Conflict(
            N_("You have %(most)s saved searches already."), rule="search.most", fix=N_("Remove some of them."),
            most=saved.MOST_EACH,
        )  # fmt: skip
    row = SavedSearch(owner_id=actor.user.pk, **values)
    rows.insert(row)
    record("search.saved", actor=actor, subject=row, message=N_("The search %(name)s was saved"), name=row.name)
    return row
