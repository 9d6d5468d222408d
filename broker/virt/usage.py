"""Who uses an object: whatever refers to it is asked, so that upper layers count without being known here."""

from typing import Any

from django.db import models

from broker.core.errors import Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.events.record import subject_kind

MOST_NAMED = 5


def users_of(obj: models.Model, *, ignore: tuple[str, ...] = ()) -> list[Reason]:
    """What keeps `obj` from being deleted, as reasons ("machine desk-1"); at most six per kind.

    A reference counts when its model protects what it points to. `ignore`: relation names that do not count.
    """
    found: list[Reason] = []
    for relation in obj._meta.related_objects:
        name = relation.get_accessor_name()
        if relation.on_delete is not models.PROTECT or name in ignore:
            continue
        rows: models.QuerySet[Any] = relation.related_model._base_manager.filter(**{relation.field.name: obj.pk})
        word = str(relation.related_model._meta.verbose_name)
        found += [
            Reason(f"{word} {row}", "in-use", N_("uses it"), kind=subject_kind(row), id=row.pk, words=N_("uses it"))
            for row in rows[: MOST_NAMED + 1]
        ]
    return found


def refuse_if_used(obj: models.Model, *, ignore: tuple[str, ...] = ()) -> None:
    """Raise Conflict naming who uses `obj`."""
    users = users_of(obj, ignore=ignore)
    if not users:
        return
    named = ", ".join(user.subject for user in users[:MOST_NAMED]) + (", …" if len(users) > MOST_NAMED else "")
    raise Conflict(
        N_("%(name)s is in use by: %(users)s."),
        rule="in-use",
        fix=N_("Remove those first."),
        reasons=users,
        name=str(obj),
        users=named,
    )
