"""Find the object that a grant is about, by its kind and id."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from .kinds import GRANTABLE, KINDS


def granted_object(kind: str, pk: Any) -> models.Model | None:
    """The object of `kind`; None for "system". Raises Invalid for an unknown kind, or when there is no such object."""
    if kind == "system":
        if pk:
            raise Invalid(N_("The whole system has no id."), field="object_id", fix=N_("Leave the id empty."))
        return None
    if kind not in GRANTABLE or kind not in KINDS:
        raise Invalid(
            N_("Rights are not given on a %(kind)s."),
            field="object_kind",
            fix=N_("Use one of: %(kinds)s."),
            kind=kind[:32],
            kinds=", ".join(("system", *(name for name in GRANTABLE if name in KINDS))),
        )
    try:
        found = KINDS.get(kind).model._default_manager.filter(pk=pk).first() if pk else None
    except (ValueError, ValidationError):
        found = None
    if found is None:
        raise Invalid(
            N_("There is no such %(kind)s."), field="object_id", fix=N_("Choose one from the list."), kind=kind
        )
    return found


def existing_object(kind: str, pk: Any) -> models.Model | None:
    """The object that a grant names, or None for the system and for what was removed meanwhile."""
    if kind == "system" or kind not in KINDS:
        return None
    return KINDS.get(kind).model._default_manager.filter(pk=pk).first()
