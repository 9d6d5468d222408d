"""Change where and how a directory is asked."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.directories.guest_names import checked_pattern
from broker.directories.kinds import KINDS
from broker.directories.models import Directory, SyncAsked, User
from broker.directories.settings_of import checked_kind, checked_name, checked_order, kept_keytab, kept_secret
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def edit_directory(
    *,
    actor: Actor,
    directory: Directory,
    name: str | None = None,
    config: Mapping[str, Any] | None = None,
    password: str | None = None,
    order: int | None = None,
    enabled: bool | None = None,
    second_factor: bool | None = None,
    guest_name: str | None = None,
    keytab: bytes | None = None,
) -> Directory:
    """Returns the row. `config` replaces the old one; without `password` the present one stays, and without
    `keytab` the present keytab, which b"" forgets.

    One that is not enabled signs nobody in and is not followed; who is signed in stays so. Where a `second_factor` is
    demanded, sign-ins of those who have none are good for nothing but setting one up (demands.py). Raises Denied,
    Invalid with the field (`password` when it has to be typed again, because servers changed), or Conflict for a name
    that is taken.
    """
    require(actor, "system.manage")
    directory = Directory.objects.select_for_update().get(pk=directory.pk)
    checked_kind(directory.kind)
    changed = []
    if name is not None and name != directory.name:
        directory.name = checked_name(name, directory)
        changed.append("name")
    if order is not None and order != directory.order:
        directory.order = checked_order(order)
        changed.append("order")
    if enabled is not None and enabled != directory.enabled:
        directory.enabled = enabled
        changed.append("enabled")
    if second_factor is not None and second_factor != directory.second_factor:
        directory.second_factor = second_factor
        changed.append("second_factor")
    if guest_name is not None and guest_name != directory.guest_name:
        directory.guest_name = checked_pattern(guest_name)
        changed.append("guest_name")
    if config is not None or password is not None or keytab is not None:
        wanted = KINDS.get(directory.kind).cleaned(directory.config if config is None else config)
        directory.secret = kept_secret(directory, wanted, password)
        directory.keytab = kept_keytab(directory, wanted, keytab)
        if wanted != directory.config:
            changed.append("config")
        if password is not None:
            changed.append("password")
        if keytab is not None:
            changed.append("keytab")
        directory.config = wanted
    if not changed:
        return directory
    directory.sync_asked = directory.sync_asked or SyncAsked.FULL
    written = ["name", "order", "enabled", "second_factor", "guest_name", "config", "secret", "keytab", "sync_asked"]
    directory.save(update_fields=written)
    if not directory.config.get("trust_amr"):
        # What a provider asked for does not count from now on, for those who are signed in either.
        User.objects.filter(directory=directory, factor_elsewhere=True).update(factor_elsewhere=False)
    record(
        "directory.changed",
        actor=actor,
        subject=directory,
        message=N_("Directory %(name)s was changed: %(what)s"),
        name=directory,
        what=", ".join(changed),
    )
    publish("directory", directory.pk)
    return directory
