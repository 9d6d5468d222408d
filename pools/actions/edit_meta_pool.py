"""Change a meta-pool: its pools and their order, its policy, what it is called."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import F

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from pools.meta_values import EDITABLE, checked_meta, set_members
from pools.models import MetaPool, Pool


@transaction.atomic
def edit_meta_pool(
    *, actor: Actor, meta: MetaPool, pools: Sequence[Pool] | None = None, revision: int | None = None, **changes: Any
) -> MetaPool:
    """Write `changes` (names as in EDITABLE) and, unless None, its `pools`; returns it as it is now.

    Nobody loses a desktop by it. `revision` is the one the editor saw. Raises Missing, Denied, Invalid, or Conflict
    when somebody else edited it meanwhile.
    """
    require(actor, "meta-pool.manage", meta)
    if unknown := sorted(changes.keys() - EDITABLE):
        raise Invalid(
            N_("“%(what)s” of a meta-pool cannot be changed."), field=unknown[0], fix=N_("Make another one."),
            what=unknown[0],
        )  # fmt: skip
    values = checked_meta(**changes)
    present = MetaPool.objects.select_for_update(no_key=True).get(pk=meta.pk)
    if revision is not None and revision != present.revision:
        raise Conflict(
            N_("Somebody else changed %(meta)s while you were editing it."),
            rule="revision",
            about=present,
            fix=N_("Look at what it says now, then make your change again."),
            meta=str(present),
        )
    said = [f"{name} → {value}" for name, value in sorted(values.items()) if value != getattr(present, name)]
    if said:
        MetaPool.objects.filter(pk=present.pk).update(**values, revision=F("revision") + 1)
    if pools is not None and set_members(actor, present, pools):
        said.append(f"pools → {', '.join(map(str, pools))}")
    if said:
        record(
            "meta-pool.edited",
            actor=actor,
            subject=present,
            message=N_("The meta-pool %(meta)s was changed: %(changes)s"),
            meta=present,
            changes="; ".join(said)[:1000],
        )
        publish("meta-pool", present.pk)
    meta.refresh_from_db()
    return meta
