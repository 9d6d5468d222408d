"""Who uses an object: whatever refers to it is asked, so that upper layers count without being known here."""

from typing import Any

from django.db import models

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

MOST_NAMED = 5


def users_of(obj: models.Model, *, ignore: tuple[str, ...] = ()) -> list[str]:
    """What keeps `obj` from being deleted, as "kind name" texts; at most six per kind.

    A reference counts when its model protects what it points to. `ignore`: relation names that do not count.
    """
    found: list[str] = []
    for relation in obj._meta.related_objects:
        name = relation.get_accessor_name()
        if relation.on_delete is not models.PROTECT or name in ignore:
            continue
        rows: models.QuerySet[Any] = relation.related_model._base_manager.filter(**{relation.field.name: obj.pk})
        word = str(relation.related_model._meta.verbose_name)
        found += [f"{word} {row}" for row in rows[: MOST_NAMED + 1]]
    return found


def refuse_if_used(obj: models.Model, *, ignore: tuple[str, ...] = ()) -> None:
    """Raise Conflict naming who uses `obj`."""
    users = users_of(obj, ignore=ignore)
    if not users:
        return
    named = ", ".join(users[:MOST_NAMED]) + (", …" if len(users) > MOST_NAMED else "")
    raise Conflict(N_("%(name)s is in use by: %(users)s."), fix=N_("Remove those first."), name=str(obj), users=named)
