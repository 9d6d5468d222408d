"""Say who is in a local group."""

from collections.abc import Iterable

from django.db import transaction

from broker.access.actor import Actor
from broker.access.administrators import ensure_one_is_left
from broker.core.text import gettext_noop as N_
from broker.directories.models import Group, User
from broker.directories.rules import ensure_local, require_over_group
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def set_members(*, actor: Actor, group: Group, members: Iterable[User]) -> Group:
    """Returns the group with exactly these members. Raises Denied or Conflict (other directory, last administrator)."""
    require_over_group(actor, group)
    ensure_local(group.directory)
    wanted = {user.pk: user for user in members}
    present = {user.pk: user for user in group.members.all()}
    added = [user for pk, user in wanted.items() if pk not in present]
    removed = [user for pk, user in present.items() if pk not in wanted]
    if not added and not removed:
        return group
    group.members.set(wanted.values())
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


def _names(users: list[User]) -> str:
    return ", ".join(sorted(user.username for user in users)) or "–"
