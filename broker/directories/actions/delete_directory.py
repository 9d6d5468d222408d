"""Forget a directory with its users and groups."""

from django.db import transaction
from django.db.models import ProtectedError

from broker.access.actor import Actor
from broker.access.administrators import ensure_one_is_left
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory, User
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def delete_directory(*, actor: Actor, directory: Directory) -> None:
    """Its users lose what was granted to them and their sessions. Nothing happens in the directory itself.

    Raises Denied, or Conflict while one of its users has a machine or desktop, or is the last administrator.
    """
    require(actor, "system.manage")
    users = User.objects.filter(directory=directory)
    held = Conflict(
        N_("Users of %(name)s still have machines or desktops."),
        rule="directory.unused",
        fix=N_("Take those back first, or disable the directory instead."),
        name=directory.name,
    )
    if users.filter(machines__isnull=False).exists():
        raise held
    record(
        "directory.deleted",
        actor=actor,
        subject=directory,
        severity="warning",
        message=N_("Directory %(name)s was removed with %(users)s users"),
        name=directory,
        users=users.count(),
    )
    directory_id = directory.pk
    try:
        with transaction.atomic():
            users.delete()
            directory.delete()
    except ProtectedError:
        raise held from None
    ensure_one_is_left()
    publish("directory", directory_id, "deleted")
