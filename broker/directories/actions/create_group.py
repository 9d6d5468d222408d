"""Make a local group."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory, Group
from broker.directories.rules import checked_text, ensure_local
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def create_group(*, actor: Actor, name: str, directory: Directory | None = None) -> Group:
    """Returns the empty group. Raises Denied, Invalid, or Conflict when the name is taken."""
    require(actor, "user.manage")
    directory = directory or Directory.objects.filter(kind="local").first()
    if directory is None:
        raise Conflict(
            N_("There is no directory for local groups."),
            rule="directory.local",
            fix=N_("Make one of the kind “local” in the administration."),
        )
    ensure_local(directory)
    name = checked_text(name, "name")
    if not name:
        raise Invalid(N_("A group needs a name."), field="name", fix=N_("Type one."))
    group, created = Group.objects.get_or_create(directory=directory, name=name)
    if not created:
        raise Conflict(
            N_("There is a group called %(name)s already."),
            rule="name.unique",
            fix=N_("Choose another name."),
            name=name,
        )
    record("group.created", actor=actor, subject=group, message=N_("Group %(name)s was made"), name=name)
    publish("group", group.pk, "created")
    return group
