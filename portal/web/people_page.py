"""A user's page in parts: the facts, the groups, what they may use, what they have, what they did."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor
from broker.access.kinds import KINDS
from broker.access.models import Grant
from broker.access.require import may, visible_to
from broker.connections.queries import visible_sessions
from broker.directories.models import Group, Membership, User
from pools.models import Desktop, Pool

from . import words
from .parts import Action, Cell, Pair, Related, Row
from .words import Mark

MOST = 50
"""Rows of a table beside the details."""
SESSION = {
    "open": Mark(gettext_lazy("Open"), "good"),
    "ending": Mark(gettext_lazy("Ending"), "busy"),
    "closed": Mark(gettext_lazy("Ended"), "idle"),
}


def user_mark(user: User) -> Mark:
    return Mark(_("Active"), "good") if user.is_active else Mark(_("Disabled"), "bad")


def said_by(row: Membership) -> str:
    """Who says that somebody is in a group."""
    if row.by_hand and row.from_directory:
        return _("by the directory, and by hand")
    return _("by the directory") if row.from_directory else _("by hand")


def user_details(user: User) -> list[Pair]:
    directory = Pair(_("Directory"), user.directory.name)
    since = Pair(_("Last sign-in"), moment=user.last_login) if user.last_login else Pair(_("Last sign-in"), _("never"))
    pairs = [
        Pair(_("User name"), user.username),
        Pair(_("E-mail"), user.email or "–"),
        directory,
        since,
        Pair(_("Known since"), moment=user.created_at),
        Pair(_("Second factor"), moment=user.second_factor_at)
        if user.second_factor_at
        else Pair(_("Second factor"), _("none")),
    ]
    return [*pairs, Pair(_("Id in the directory"), user.external_id)] if user.external_id else pairs


def user_actions(actor: Actor, user: User) -> list[Action]:
    """What the reader may try; the actions have the last word."""
    if not may(actor, "user.manage", user):
        return []
    local = user.directory.kind == "local"
    actions = []
    if local:
        actions.append(Action(_("Edit"), reverse("portal:user-edit", args=[user.pk]), "edit", link=True))
        actions.append(Action(_("New password"), reverse("portal:user-password", args=[user.pk]), "key", link=True))
    if user.second_factor_at and user.pk != actor.user_id:
        text = _("The password alone signs %(name)s in, or a new one is set up where it is demanded.") % {"name": user}
        address = reverse("portal:user-deed", args=[user.pk, "reset-second-factor"])
        actions.append(Action(_("Reset the second factor"), address, "refresh", danger=True, confirm=text))
    if user.is_active:
        text = _("%(name)s cannot sign in any more; sessions and consoles end.") % {"name": user}
        address = reverse("portal:user-deed", args=[user.pk, "disable"])
        actions.append(Action(_("Disable"), address, "lock", danger=True, confirm=text))
    else:
        actions.append(Action(_("Enable"), reverse("portal:user-deed", args=[user.pk, "enable"]), "check"))
    return actions


def groups_of(actor: Actor, user: User) -> Related:
    rows = (
        Membership.objects.filter(user=user, group__in=visible_to(actor, Group))
        .select_related("group__directory")
        .order_by("group__name")[:MOST]
    )
    return Related(
        _("Groups"),
        [_("Group"), _("Directory"), _("Kept")],
        [
            Row([
                Cell(row.group.name, reverse("portal:group", args=[row.group_id])),
                Cell(row.group.directory.name),
                Cell(said_by(row)),
            ])
            for row in rows
        ],
        _("In no group."),
    )  # fmt: skip


def rights_of(actor: Actor, user: User) -> Related | None:
    """The roles the user was given, directly and by groups. Only for who may read rights."""
    if not may(actor, "system.view"):
        return None
    grants = list(
        Grant.objects.filter(Q(user=user) | Q(group__members=user))
        .select_related("role", "group")
        .order_by("-created_at")[:MOST]
    )
    names = _names(grants)
    return Related(
        _("Roles"),
        [_("Role"), _("On"), _("Given to")],
        [
            Row([
                Cell(_(grant.role.title)),
                Cell(names.get((grant.object_kind, grant.object_id), "–") if grant.object_id else _("everything")),
                Cell(grant.group.name if grant.group else _("the user")),
            ])
            for grant in grants
        ],
        _("No role: nothing can be seen or done."),
    )  # fmt: skip


def _names(grants: Iterable[Grant]) -> dict[tuple[str, UUID | None], str]:
    """What the grants are on, by name: one query a kind of object."""
    wanted = defaultdict(set)
    for grant in grants:
        if grant.object_id and grant.object_kind in KINDS:
            wanted[grant.object_kind].add(grant.object_id)
    return {
        (kind, pk): str(row)
        for kind, ids in wanted.items()
        for pk, row in KINDS.get(kind).model._default_manager.in_bulk(ids).items()
    }


def pools_of(actor: Actor, user: User) -> Related:
    """The pools the user may take desktops of, as far as the reader may see them."""
    usable: QuerySet[Pool] = visible_to(Actor.for_user(user), Pool, "pool.use")
    rows = visible_to(actor, Pool).filter(pk__in=usable.values("pk")).select_related("template")[:MOST]
    return Related(
        _("Pools"),
        [_("Pool"), _("Template"), _("Most for one user")],
        [
            Row([
                Cell(str(pool), reverse("portal:pool", args=[pool.pk])),
                Cell(pool.template.name if pool.template else _("Physical PCs")),
                Cell(pool.max_per_user),
            ])
            for pool in rows
        ],
        _("No pool gives them a desktop."),
    )  # fmt: skip


def desktops_of(actor: Actor, user: User) -> Related:
    rows = Desktop.objects.filter(holder=user, pool__in=visible_to(actor, Pool)).select_related("vm", "pool")[:MOST]
    return Related(
        _("Desktops"),
        [_("Desktop"), _("Pool"), _("State"), _("Since")],
        [
            Row([
                Cell(desktop.vm.name, reverse("portal:vm", args=[desktop.vm_id])),
                Cell(str(desktop.pool)),
                Cell(mark=words.POWER.get(desktop.vm.power_state, words.UNKNOWN)),
                Cell(moment=desktop.held_since),
            ])
            for desktop in rows
        ],
        _("Has no desktop at present."),
    )  # fmt: skip


def sessions_of(actor: Actor, user: User) -> Related:
    rows = visible_sessions(actor).filter(user=user)[:MOST]
    return Related(
        _("Sessions"),
        [_("Machine"), _("State"), _("From"), _("Began")],
        [
            Row([
                Cell(session.vm.title or session.vm.name, reverse("portal:vm", args=[session.vm_id])),
                Cell(mark=SESSION.get(session.state, words.UNKNOWN)),
                Cell(session.address or "–"),
                Cell(moment=session.opened_at),
            ])
            for session in rows
        ],
        _("Has opened no screen yet."),
    )  # fmt: skip


def user_cells(user: Any) -> list[Cell]:
    """`user` with `desktop_count` and the directory loaded."""
    return [
        Cell(user.username, reverse("portal:user", args=[user.pk]), under=user.display_name),
        Cell(mark=user_mark(user)),
        Cell(user.directory.name),
        Cell(user.email or "–"),
        Cell(user.desktop_count),
        Cell(moment=user.last_login) if user.last_login else Cell(_("never")),
    ]
