"""Reading roles, grants and quotas as far as somebody may: one statement each."""

from django.db.models import Q, QuerySet

from .actor import Actor
from .kinds import GRANTABLE, KINDS
from .models import Grant, Quota, Role
from .require import may, own, visible_to


def roles(actor: Actor) -> QuerySet[Role]:
    """All for who may look at the system, or give rights on anything at all; else none."""
    rows = Role.objects.all()
    return rows if may(actor, "system.view") or _managed(actor) else rows.none()


def grants(actor: Actor) -> QuerySet[Grant]:
    """One's own and one's groups', and those on what one may give rights on; all for who may look at the system."""
    rows = Grant.objects.select_related("user", "group", "role")
    if may(actor, "system.view"):
        return rows
    groups = actor.user.directory_groups.values("pk") if actor.user else []
    seen = own(actor, Q(user=actor.user_id) | Q(group__in=groups))
    for kind in _managed(actor):
        managed = visible_to(actor, KINDS.get(kind).model, f"{kind}.manage").order_by().values("pk")
        seen |= Q(object_kind=kind, object_id__in=managed)
    return rows.filter(seen)


def quotas(actor: Actor) -> QuerySet[Quota]:
    """Those the actor may see: one's own among them."""
    return visible_to(actor, Quota).select_related("user", "group", "cluster")


def _managed(actor: Actor) -> list[str]:
    """The kinds of which the actor may give rights on some object."""
    return [kind for kind in GRANTABLE if kind in KINDS and actor.held(f"{kind}.manage")]
