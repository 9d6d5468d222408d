"""Insert, change and remove rows of things that have a unique name, with a clear word when that cannot be."""

from collections.abc import Mapping

from django.db import IntegrityError, models, transaction

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .usage import refuse_if_used


def insert(row: models.Model) -> None:
    """Save the new `row`; raises Conflict when its name is taken."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError as error:
        raise Conflict(
            N_("There is a %(kind)s called %(name)s already."),
            rule="name.unique",
            fix=N_("Choose another name."),
            kind=str(row._meta.verbose_name),
            name=str(row),
        ) from error


def remove(row: models.Model, *, ignore: tuple[str, ...] = ()) -> None:
    """Delete `row`; raises Conflict naming who uses it. Also when somebody begins to use it this very moment."""
    refuse_if_used(row, ignore=ignore)
    try:
        with transaction.atomic():
            type(row)._default_manager.filter(pk=row.pk).delete()
    except (models.ProtectedError, IntegrityError):
        refuse_if_used(row, ignore=ignore)
        raise


def change(row: models.Model, values: Mapping[str, object]) -> bool:
    """Write what differs from `row` and set it there; whether anything did. Raises Conflict when a name is taken."""
    changed = {field: value for field, value in values.items() if value is not None and getattr(row, field) != value}
    if not changed:
        return False
    try:
        with transaction.atomic():
            type(row)._default_manager.filter(pk=row.pk).update(**changed)
    except IntegrityError as error:
        raise Conflict(
            N_("There is a %(kind)s called %(name)s already."),
            rule="name.unique",
            fix=N_("Choose another name."),
            kind=str(row._meta.verbose_name),
            name=changed.get("name", row),
        ) from error
    for field, value in changed.items():
        setattr(row, field, value)
    return True
