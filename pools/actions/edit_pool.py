"""Change a pool: its size, how many wait running, what it is called, how its desktops are given out."""

from typing import Any

from django.db import transaction
from django.db.models import F

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from pools.models import Pool
from pools.physical import require_unfixed
from pools.shrinking import check_still_bookable
from pools.states import POOL
from pools.values import READINESS, check_together, checked
from pools.wake import wake

EDITABLE = READINESS | {
    "title", "description", "kind", "stateful", "size", "prestarted", "max_per_user", "name_pattern", "version",
}  # fmt: skip


@transaction.atomic
def edit_pool(*, actor: Actor, pool: Pool, revision: int | None = None, **changes: Any) -> Pool:
    """Write `changes` (names as in EDITABLE); returns the pool as it is now. Desktops in use are never touched.

    `revision` is the one the editor saw: with it, an edit over somebody else's newer one is refused.
    Raises Missing, Denied, Invalid, or Conflict (edited meanwhile, being deleted, more booked than it
    would have).
    """
    require(actor, "pool.manage", pool)
    if unknown := sorted(changes.keys() - EDITABLE):
        raise Invalid(
            N_("“%(what)s” of a pool cannot be changed."),
            field=unknown[0],
            fix=N_("Make another pool."),
            what=unknown[0],
        )
    values = checked(**changes)
    present = Pool.objects.select_for_update(of=("self",), no_key=True).select_related(
        "template", "version", "storage", "network"
    ).get(pk=pool.pk)  # fmt: skip
    _check_state(present, revision)
    if present.template is None:
        require_unfixed(present, values)
    else:
        check_together(
            template=present.template,
            version=values.get("version"),
            storage=present.storage,
            network=present.network,
            size=values.get("size", present.size),
            prestarted=values.get("prestarted", present.prestarted),
            suspended=values.get("suspended", present.suspended),
        )
    if present.booked:
        check_still_bookable(present, values)
    before = {field: getattr(present, field) for field in values}
    if changed := {field: value for field, value in values.items() if value != before[field]}:
        Pool.objects.filter(pk=present.pk).update(**changed, revision=F("revision") + 1)
        record(
            "pool.edited",
            actor=actor,
            subject=present,
            message=N_("The pool %(pool)s was changed: %(changes)s"),
            pool=present,
            changes=", ".join(f"{field} {before[field]} → {value}" for field, value in sorted(changed.items()))[:1000],
        )
        publish("pool", present.pk)
        wake(present.pk)
    pool.refresh_from_db()
    return pool


def _check_state(pool: Pool, revision: int | None) -> None:
    if not POOL.is_(pool.state, "open"):
        raise Conflict(
            N_("The pool %(pool)s is being deleted."),
            rule="pool.open",
            about=pool,
            fix=N_("Make another pool."),
            pool=str(pool),
        )
    if revision is not None and revision != pool.revision:
        raise Conflict(
            N_("Somebody else changed %(pool)s while you were editing it."),
            rule="revision",
            about=pool,
            fix=N_("Look at what it says now, then make your change again."),
            pool=str(pool),
        )
