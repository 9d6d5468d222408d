"""Rename a storage domain, say how full it may get or what becomes of what is deleted. Its directory stays."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, nfs_options, rows
from broker.virt.models import StorageDomain
from broker.virt.states import STORAGE


@transaction.atomic
def edit_storage(
    *,
    actor: Actor,
    storage: StorageDomain,
    name: str | None = None,
    warning_percent: int | None = None,
    critical_percent: int | None = None,
    mount: Mapping[str, Any] | None = None,
    wipe_after_delete: bool | None = None,
) -> StorageDomain:
    """The levels are shares of free space. `mount`: how a share is mounted (nfs_options.py), in maintenance.
    `wipe_after_delete`: what is deleted there is overwritten first, unless a disk says otherwise.

    Raises Missing, Denied, Invalid or Conflict (the name is taken, or it is in use).
    """
    require(actor, "storage.manage", storage)
    wanted: dict[str, Any] = {
        "name": None if name is None else names.name(name),
        "wipe_after_delete": wipe_after_delete,
    }
    for field, value in (("warning_percent", warning_percent), ("critical_percent", critical_percent)):
        wanted[field] = None if value is None else names.number(value, field=field, least=0, most=95)
    warns, stops = (
        getattr(storage, field) if wanted[field] is None else wanted[field]
        for field in ("warning_percent", "critical_percent")
    )
    if stops > warns:
        raise Invalid(
            N_("The critical level is reached before the warning."), field="critical_percent",
            fix=N_("Warn at the same or at more free space."),
        )  # fmt: skip
    if mount is not None and (options := _mount(storage, mount)) != storage.mount:
        wanted["mount"] = options
    if rows.change(storage, wanted):
        record("storage.edited", actor=actor, subject=storage, message=N_("Storage %(name)s was changed"),
               name=storage.name)  # fmt: skip
        publish("storage", storage.pk, "changed")
    return storage


def _mount(storage: StorageDomain, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those given, beside those that were chosen before."""
    if storage.kind != StorageDomain.Kind.NFS:
        raise Invalid(N_("Only NFS shares are mounted."), field="mount", fix=N_("Leave the options out."))
    options = {**storage.mount, **nfs_options.chosen(given)}
    if options != storage.mount and STORAGE.is_(storage.state, "usable"):
        raise Conflict(
            N_("%(name)s is in use."), rule="storage.maintenance", fix=N_("Put it into maintenance first."),
            name=storage.name,
        )  # fmt: skip
    return options
