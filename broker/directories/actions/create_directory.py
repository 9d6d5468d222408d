"""Let users come from another directory."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.directories.guest_names import LOGIN, checked_pattern
from broker.directories.models import Directory, SyncAsked
from broker.directories.settings_of import checked_kind, checked_name, checked_order, kept_keytab
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def create_directory(
    *,
    actor: Actor,
    name: str,
    kind: str,
    config: Mapping[str, Any] | None = None,
    password: str = "",
    order: int = 100,
    enabled: bool = True,
    second_factor: bool = False,
    guest_name: str = LOGIN,
    keytab: bytes = b"",
) -> Directory:
    """Returns the row; its users and groups follow within seconds. `password` is the one Berth reads it with.
    `second_factor`: its people have to have one. `guest_name`: what they are called in guests (guest_names.py).
    `keytab`: by which tickets of Kerberos are read; of it only the keys of its service are kept, sealed.

    Raises Denied, Invalid with the field, or Conflict when the name is taken. The directory is not asked: that is what
    the preview is for.
    """
    require(actor, "system.manage")
    offered = checked_kind(kind)
    directory = Directory(
        name=checked_name(name),
        kind=kind,
        config=offered.cleaned(config or {}),
        secret=offered.sealed(password),
        order=checked_order(order),
        enabled=enabled,
        second_factor=second_factor,
        guest_name=checked_pattern(guest_name),
        sync_asked=SyncAsked.FULL,
    )
    directory.keytab = kept_keytab(directory, directory.config, keytab)
    directory.save(force_insert=True)
    record(
        "directory.created",
        actor=actor,
        subject=directory,
        message=N_("Directory %(name)s (%(sort)s) was added"),
        name=directory,
        sort=kind,
    )
    publish("directory", directory.pk, "created")
    return directory
