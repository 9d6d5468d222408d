"""Say who is in a group by hand."""

from collections.abc import Container, Iterable
from uuid import UUID

from django.db import transaction

from broker.access.actor import Actor
from broker.access.administrators import ensure_one_is_left
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import Group, Membership, User
from broker.directories.rules import require_over_group
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def set_members(*, actor: Actor, group: Group, members: Iterable[User]) -> Group:
    """Returns the group with exactly these members by hand. In a group of a directory those it names stay as well.

    Raises Denied, or Conflict for the last administrator.
    """
    require_over_group(actor, group)
    Group.objects.select_for_update().get(pk=group.pk)
    wanted = {user.pk: user for user in members}
    rows = {row.user_id: row for row in group.memberships.select_related("user")}
    added = [user for pk, user in wanted.items() if pk not in rows or not rows[pk].by_hand]
    removed = [row.user for pk, row in rows.items() if row.by_hand and pk not in wanted]
    if not added and not removed:
        return group
    named = [user for user in added if user.pk in rows]
    group.memberships.filter(user__in=named).update(by_hand=True)
    Membership.objects.bulk_create([Membership(group=group, user=user) for user in added if user.pk not in rows])
    gone = group.memberships.filter(user__in=removed)
    gone.filter(from_directory=False).delete()
    gone.filter(from_directory=True).update(by_hand=False)
    ensure_one_is_left()
    record(
        "group.members",
        actor=actor,
        subject=group,
        message=N_("Members of %(name)s: added %(added)s, removed %(removed)s"),
        name=group,
        added=_names(added),
        removed=_names(removed),
    )
    publish("group", group.pk)
    return group


def _ensure_kept(group: Group, wanted: Container[UUID]) -> None:
    theirs = group.memberships.filter(from_directory=True).select_related("user")
    if missing := [row.user for row in theirs if row.user_id not in wanted]:
        raise Conflict(
            N_("The directory %(directory)s says that these are in %(group)s: %(names)s"),
            rule="directory.truth",
            fix=N_("Take them out there; Berth follows within seconds."),
            directory=group.directory.name,
            group=group.name,
            names=_names(missing[:10]),
        )


def _names(users: list[User]) -> str:
    return ", ".join(sorted(user.username for user in users)) or "–"
