"""Remove a local group, and with it what was granted to it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.administrators import ensure_one_is_left
from broker.core.text import gettext_noop as N_
from broker.directories.models import Group
from broker.directories.rules import ensure_local, require_over_group
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def delete_group(*, actor: Actor, group: Group) -> None:
    """Raises Denied, or Conflict for a group of another directory or the last one with an administrator."""
    require_over_group(actor, group)
    ensure_local(group.directory)
    group_id, name = group.pk, group.name
    record("group.deleted", actor=actor, subject=group, message=N_("Group %(name)s was removed"), name=name)
    group.delete()
    ensure_one_is_left()
    publish("group", group_id, "deleted")
