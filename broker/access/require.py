"""The one place where rights are decided: `require`, `may` and `visible_to`.

Who acts by a narrowed API token may what the person may and the token's scope includes (scope.py).
"""

from collections.abc import Set
from functools import cache
from typing import Any, TypeVar

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from broker import sql
from broker.core.errors import Denied, Missing
from broker.core.text import gettext_noop as N_
from broker.events.record import subject_kind

from .actor import Actor
from .kinds import KINDS, Kind, kind_of
from .scope import ACCOUNT, OWN_MANAGE, OWN_VIEW, Scope

M = TypeVar("M", bound=models.Model)


def may(actor: Actor, verb: str, obj: models.Model | None = None) -> bool:
    """Whether `actor` may do `verb` to `obj`; without `obj`, to the system as a whole."""
    if actor.is_system:
        return True
    if not within(actor, verb, obj):
        return False
    held = actor.held(verb)
    if any(grant.object_kind == "system" for grant in held):
        return True
    if obj is None or actor.user is None or not actor.user.is_active:
        return False
    kind = kind_of(obj)
    if any(grant.object_kind == kind.name and grant.object_id == obj.pk for grant in held):
        return True
    if not held and not (kind.owner and verb in kind.owner_verbs):
        return False
    granted = {(grant.object_kind, grant.object_id) for grant in held}
    return _inherits(kind, obj, granted) or _owns(kind, obj, actor.user.pk, verb)


def within(actor: Actor, verb: str, obj: models.Model | None = None) -> bool:
    """Whether the token that the actor acts by includes the right, on `obj` or without one; True without a token.

    For what is allowed without a right, because it is one's own: whether the token includes that too.
    """
    scope = actor.scope
    if scope is None:
        return True
    if not scope.covers(verb):
        return False
    if not scope.objects:
        return True
    if obj is None:
        return False
    kind = kind_of(obj)
    if (kind.name, obj.pk) in scope.objects or _inherits(kind, obj, scope.objects):
        return True
    # A job or an event is where what it is about is.
    return kind.name in _ABOUT and kind.model._base_manager.filter(_inside(kind, scope), pk=obj.pk).exists()


def _inherits(kind: Kind, obj: models.Model, granted: Set[tuple[str, Any]]) -> bool:
    """Whether the object belongs to one of these, each by its kind and id."""
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
        raise missing(actor)
    if actor.scope is not None and may(actor.without_scope(), verb, obj):
        refuse_token(actor, verb, obj)
    raise Denied(
        N_("You may not do this (%(verb)s)."),
        rule="access.right",
        about=obj,
        fix=N_("Ask an administrator for a role that includes it."),
        verb=verb,
    )


def refuse_token(actor: Actor, verb: str, obj: models.Model | None = None) -> None:
    """Raise Denied: the person may, the token that they act by may not."""
    raise Denied(
        N_("This token may not do this (%(verb)s); it is narrowed to less than you may."),
        rule="access.scope",
        about=obj,
        fix=N_("Make one that may, in your account."),
        verb=verb,
        token=actor.token.name if actor.token else "",
    )


def missing(actor: Actor) -> Missing:
    """The error for an object that is not there or is not to be seen: the two are told alike."""
    if actor.scope is not None:
        return Missing(
            N_("There is no such object, or this token may not see it."),
            fix=N_("Go back to the list; if you see it without the token, make one that may see it."),
        )
    return Missing(
        N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
    )


def require_within(actor: Actor, verb: str = OWN_MANAGE, obj: models.Model | None = None) -> None:
    """Raise Denied when the actor acts by a token that leaves out the right: for what is one's own and needs none."""
    if not within(actor, verb, obj):
        refuse_token(actor, verb, obj)


def require_account(actor: Actor) -> None:
    """Raise Denied when the actor acts by a token that may not change the person's own account."""
    require_within(actor, ACCOUNT)


def own(actor: Actor, mine: Q, verb: str = OWN_VIEW, obj: models.Model | None = None) -> Q:
    """The condition for rows that are seen because they are one's own: that, or none where the token is narrowed."""
    return mine if actor.user and within(actor, verb, obj) else Q(pk__in=[])


def in_scope(actor: Actor, rows: "models.QuerySet[M]", verb: str) -> "models.QuerySet[M]":
    """Of these rows those on which the token includes the right, whether the person has it or not."""
    if actor.scope is None:
        return rows
    if not actor.scope.covers(verb):
        return rows.none()
    return rows.filter(_inside(kind_of(rows), actor.scope)) if actor.scope.objects else rows


_ABOUT = ("job", "event")
"""Kinds whose rows are about an object of another kind: `subject_kind` and `subject_id` name it."""


def _inside(kind: Kind, scope: Scope) -> Q:
    """The condition for rows of a kind that are, or belong to, the objects of the scope."""
    condition = Q(pk__in=[pk for name, pk in scope.objects if name == kind.name])
    for parent, path in kind.parents.items():
        if ids := [pk for name, pk in scope.objects if name == parent]:
            condition |= Q(**{f"{path}__in": ids})
    if kind.name in _ABOUT:
        named = {name for name, _pk in scope.objects}
        for other in KINDS:
            if other.name in named or not named.isdisjoint(other.parents):
                rows = other.model._base_manager.filter(_inside(other, scope)).order_by().values("pk")
                condition |= Q(subject_kind=subject_kind(other.model), subject_id__in=rows)
    return condition


def visible_to(actor: Actor, rows: "type[M] | models.QuerySet[M]", verb: str = "view") -> "models.QuerySet[M]":
    """The rows on which `actor` has `verb` ("view" or "<kind>.<verb>"), as a queryset of one statement."""
    queryset: models.QuerySet[Any] = rows if isinstance(rows, models.QuerySet) else rows._default_manager.all()
    if actor.is_system:
        return queryset
    kind = kind_of(queryset)
    wanted = verb if "." in verb else f"{kind.name}.{verb}"
    queryset = in_scope(actor, queryset, wanted)
    held = actor.held(wanted)
    if any(grant.object_kind == "system" for grant in held):
        return queryset
    if actor.user is None or not actor.user.is_active:
        return queryset.none()
    condition = Q(pk__in=[grant.object_id for grant in held if grant.object_kind == kind.name])
    for parent, path in kind.parents.items():
        if ids := [grant.object_id for grant in held if grant.object_kind == parent]:
            condition |= Q(**{f"{path}__in": ids})
    if kind.owner and wanted in kind.owner_verbs:
        # What the token does not include is out already.
        owned = kind.model._base_manager.filter(**{kind.owner: actor.user.pk}).values("pk")
        condition |= Q(pk__in=owned)
    return queryset.filter(condition)


def directly_on(actor: Actor, kind_name: str, verb: str) -> list[Any] | None:
    """The ids of the objects of this kind on which the actor has `verb`, when only grants on those give it.

    None when there are other ways to it, which `visible_to` knows; so that common cases need no built statement.
    """
    kind = KINDS.get(kind_name)
    if actor.is_system or (kind.owner and verb in kind.owner_verbs) or (actor.scope and actor.scope.objects):
        return None
    held = actor.held(verb)
    if any(grant.object_kind == "system" or grant.object_kind in kind.parents for grant in held):
        return None
    return list({grant.object_id for grant in held if grant.object_kind == kind.name})


def find(actor: Actor, model: type[M], pk: Any, verb: str = "view") -> M:
    """The object, if the actor may see it; raises Missing, or Denied when only `verb` is lacking."""
    try:
        obj = named(model, pk)
    except Missing:
        raise missing(actor) from None
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
