"""Who may hand out which role on what: nobody gives, takes or writes down rights that they do not have themselves."""

from collections.abc import Iterable

from django.db import models
from django.db.models import Q

from broker.core.errors import Denied
from broker.core.text import gettext_noop as N_

from .actor import Actor
from .kinds import kind_of
from .lineage import lineage
from .models import Grant, Role
from .objects import existing_object
from .require import may, require

_HARMLESS = (".view", ".use", ".power")


def ensure_may_hand_out(actor: Actor, role: Role, obj: models.Model | None) -> None:
    """Raise unless `actor` may give (and take) `role` on `obj`; None is the whole system.

    It takes the right to manage the object, or the system, and every right of the role there.
    """
    if obj is None or not may(actor, "system.manage"):
        require(actor, "system.manage" if obj is None else f"{kind_of(obj).name}.manage", obj)
    ensure_within_own(actor, role.verbs, obj, role=role.name)


def ensure_within_own(actor: Actor, verbs: Iterable[str], obj: models.Model | None, *, role: str) -> None:
    """Raise Denied unless `actor` has each of `verbs` on `obj`, patterns such as "vm.*" as a whole."""
    if beyond := lacking(actor, verbs, obj):
        raise Denied(
            N_("The role %(role)s holds rights that you do not have here (%(verbs)s)."),
            rule="access.handing-out",
            fix=N_("Leave those out, or ask somebody who has them."),
            role=role,
            verbs=", ".join(beyond),
        )


def lacking(actor: Actor, verbs: Iterable[str], obj: models.Model | None) -> list[str]:
    """Those of `verbs` that no grant of the actor on `obj`, or on what it belongs to, includes as a whole.

    What the token that they act by leaves out is lacking, too. A pattern is included only by a pattern at least as
    wide: who has each verb of today has not those of tomorrow. What one may do as the
    holder of a desktop does not count: it is lent, not given.
    """
    if actor.is_system:
        return []
    above = lineage(obj) if obj is not None else frozenset()
    if actor.scope is not None and actor.scope.objects and not above & actor.scope.objects:
        return sorted(verbs)
    return sorted(
        verb
        for verb in verbs
        if not any(one.object_kind == "system" or (one.object_kind, one.object_id) in above for one in actor.held(verb))
    )


def ensure_over_person(actor: Actor, *, user: models.Model | None = None, group: models.Model | None = None) -> None:
    """Raise Denied when `user`, or membership of `group`, carries rights that `actor` lacks.

    Who sets a password can sign in with it, and who fills a group can join it: either would be a way up. Of a user
    only rights to manage count, or a help desk could help nobody: what one may use and look at is no way up.
    """
    whose = Q(group=group) if group is not None else Q(user=user) | Q(group__members=user)
    for row in Grant.objects.filter(whose).select_related("role").distinct():
        verbs = [verb for verb in row.role.verbs if group is not None or not verb.endswith(_HARMLESS)]
        obj = existing_object(row.object_kind, row.object_id)
        if verbs and (obj is not None or row.object_kind == "system"):
            ensure_within_own(actor, verbs, obj, role=row.role.name)
