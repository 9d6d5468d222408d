"""Saved searches: what may be in one, and whose one sees."""

from typing import Any

from django.db.models import Q, QuerySet

from broker.access.actor import Actor
from broker.access.require import may, own, require, require_within
from broker.core.errors import Denied, Invalid, Missing
from broker.core.text import gettext_noop as N_

from . import names
from .models import SavedSearch
from .search import search

COLUMNS = (
    "state", "cpu", "host", "pool", "holder", "vcpus", "memory", "cluster", "template", "address", "owner", "created",
)  # fmt: skip
USUAL_COLUMNS = COLUMNS[:7]
MOST_EACH = 50


def saved_searches(actor: Actor) -> QuerySet[SavedSearch]:
    """One's own and those that are shared, by name."""
    return SavedSearch.objects.filter(own(actor, Q(owner=actor.user_id) | Q(shared=True))).select_related("owner")


def checked(actor: Actor, values: dict[str, Any]) -> dict[str, Any]:
    """The fields as they can be kept; raises Invalid, and Denied for sharing without the right."""
    kept: dict[str, Any] = {}
    if "name" in values:
        kept["name"] = names.title(values["name"], field="name", longest=names.LONGEST_NAME)
        if not kept["name"]:
            raise Invalid(N_("The search has no name."), field="name", fix=N_("Give it one."))
    if "text" in values:
        search(actor, values["text"])
        kept["text"] = values["text"]
    if "columns" in values:
        if unknown := [name for name in values["columns"] if name not in COLUMNS]:
            raise Invalid(
                N_("There is no column %(name)s."), field="columns", fix=N_("Use some of: %(columns)s."),
                name=str(unknown[0])[:64], columns=", ".join(COLUMNS),
            )  # fmt: skip
        kept["columns"] = [name for name in COLUMNS if name in values["columns"]]
    if "shared" in values:
        if values["shared"]:
            require(actor, "vm.edit")
        kept["shared"] = bool(values["shared"])
    return kept


def require_own(actor: Actor, row: SavedSearch) -> None:
    """Raise Missing when one does not see it, Denied when it is somebody else's; who runs the system may anyway."""
    if may(actor, "system.manage"):
        return
    if row.owner_id == actor.user_id:
        require_within(actor)
        return
    if not row.shared:
        raise Missing(
            N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
        )
    raise Denied(
        N_("The search %(name)s belongs to %(owner)s."), rule="search.own", fix=N_("Save one of your own."),
        name=row.name, owner=row.owner,
    )  # fmt: skip
