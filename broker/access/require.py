"""The one place where rights are decided: `require`, `may` and `visible_to`."""

from functools import cache
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from broker import sql
from broker.core.errors import Denied, Missing
from broker.core.text import gettext_noop as N_

from .actor import Actor, Held
from .kinds import KINDS, Kind, kind_of
from .roles import covers

M = TypeVar("M", bound=models.Model)


def may(actor: Actor, verb: str, obj: models.Model | None = None) -> bool:
    """Whether `actor` may do `verb` to `obj`; without `obj`, to the system as a whole."""
    if actor.is_system:
        return True
    held = [grant for grant in actor.grants() if covers(list(grant.verbs), verb)]
    if any(grant.object_kind == "system" for grant in held):
        return True
    if obj is None or actor.user is None or not actor.user.is_active:
        return False
    kind = kind_of(obj)
    if any(grant.object_kind == kind.name and grant.object_id == obj.pk for grant in held):
        return True
    if not held and not (kind.owner and verb in kind.owner_verbs):
        return False
    return _inherits(kind, obj, held) or _owns(kind, obj, actor.user.pk, verb)


def _inherits(kind: Kind, obj: models.Model, held: list[Held]) -> bool:
    """Whether one of these grants is on something that the object belongs to."""
    granted = {(grant.object_kind, grant.object_id) for grant in held}
    if not any(parent in kind.parents for parent, _id in granted):
        return False
    paths = _parents_of(kind.name)
    return any(
        value is not None and (parent, value) in granted
        for values in paths.rows(pk=obj.pk)
        for parent, value in zip(kind.parents, values, strict=True)
    )


def _owns(kind: Kind, obj: models.Model, user: Any, verb: str) -> bool:
    if not kind.owner or verb not in kind.owner_verbs:
        return False
    return (user,) in _owner_of(kind.name).rows(pk=obj.pk)


@cache
def _parents_of(kind: str) -> sql.Statement:
    return sql.Statement(lambda: _row_of(kind).values_list(*KINDS.get(kind).parents.values()))


@cache
def _owner_of(kind: str) -> sql.Statement:
    return sql.Statement(lambda: _row_of(kind).values_list(KINDS.get(kind).owner))


def _row_of(kind: str) -> "models.QuerySet[Any]":
    model = KINDS.get(kind).model
    return model._default_manager.filter(pk=sql.Given("pk", sql.key_of(model))).order_by()


def require(actor: Actor, verb: str, obj: models.Model | None = None) -> None:
    """Raise Missing when the actor may not even see `obj`, Denied when seeing is all that is allowed."""
    if may(actor, verb, obj):
        return
    if obj is not None and not may(actor, f"{kind_of(obj).name}.view", obj):
        raise Missing(
            N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
        )
    raise Denied(
        N_("You may not do this (%(verb)s)."),
        rule="access.right",
        about=obj,
        fix=N_("Ask an administrator for a role that includes it."),
        verb=verb,
    )


def visible_to(actor: Actor, rows: "type[M] | models.QuerySet[M]", verb: str = "view") -> "models.QuerySet[M]":
    """The rows on which `actor` has `verb` ("view" or "<kind>.<verb>"), as a queryset of one statement."""
    queryset: models.QuerySet[Any] = rows if isinstance(rows, models.QuerySet) else rows._default_manager.all()
    if actor.is_system:
        return queryset
    kind = kind_of(queryset)
    wanted = verb if "." in verb else f"{kind.name}.{verb}"
    held = [grant for grant in actor.grants() if covers(list(grant.verbs), wanted)]
    if any(grant.object_kind == "system" for grant in held):
        return queryset
    if actor.user is None or not actor.user.is_active:
        return queryset.none()
    condition = Q(pk__in=[grant.object_id for grant in held if grant.object_kind == kind.name])
    for parent, path in kind.parents.items():
        if ids := [grant.object_id for grant in held if grant.object_kind == parent]:
            condition |= Q(**{f"{path}__in": ids})
    if kind.owner and wanted in kind.owner_verbs:
        owned = kind.model._base_manager.filter(**{kind.owner: actor.user.pk}).values("pk")
        condition |= Q(pk__in=owned)
    return queryset.filter(condition)


def directly_on(actor: Actor, kind_name: str, verb: str) -> list[Any] | None:
    """The ids of the objects of this kind on which the actor has `verb`, when only grants on those give it.

    None when there are other ways to it, which `visible_to` knows; so that common cases need no built statement.
    """
    kind = KINDS.get(kind_name)
    if actor.is_system or (kind.owner and verb in kind.owner_verbs):
        return None
    held = [grant for grant in actor.grants() if covers(list(grant.verbs), verb)]
    if any(grant.object_kind == "system" or grant.object_kind in kind.parents for grant in held):
        return None
    return list({grant.object_id for grant in held if grant.object_kind == kind.name})


def find(actor: Actor, model: type[M], pk: Any, verb: str = "view") -> M:
    """The object, if the actor may see it; raises Missing, or Denied when only `verb` is lacking."""
    obj = named(model, pk)
    require(actor, verb if "." in verb else f"{kind_of(model).name}.{verb}", obj)
    return obj


def named(model: type[M], pk: Any) -> M:
    """The object of this id, for an action that asks for the right before all else; raises Missing as it would."""
    try:
        return sql.get(model, pk)
    except (model.DoesNotExist, ValueError, TypeError, ValidationError) as error:  # type: ignore[attr-defined]
        raise Missing(
            N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
        ) from error
