"""Pools of physical PCs: nothing is made, reset or kept running; PCs are handed out, and go back after use.

Such a pool has no template. Its PCs are put in and taken out one by one, and its size is how many there are.
"""

from collections.abc import Mapping
from typing import Any

from django.db.models import Case, Exists, Q, QuerySet, Value, When

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.core import clock
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.driver import PowerState

from .holding import jobs_on_desktops, take_back
from .models import Desktop, Pool
from .states import DESKTOP, POOL, DesktopState, PoolState
from .trouble import builder

FIXED = ("stateful", "size", "prestarted", "suspended", "forecast", "name_pattern")
"""What cannot be chosen for a pool of PCs."""


def require_unfixed(pool: Pool, values: Mapping[str, Any]) -> None:
    """Raise Invalid for a change of what a pool of PCs has no choice of."""
    for field in (*FIXED, "version"):
        if field in values and values[field] != getattr(pool, field):
            raise Invalid(
                N_("This cannot be chosen for a pool of physical PCs."), field=field, fix=N_("Leave it as it is.")
            )


def ready(rows: QuerySet[Desktop]) -> QuerySet[Desktop]:
    """Of free desktops of such a pool those that can be used: on, or off and to be woken; what is on first."""
    awake = Q(vm__power_state=PowerState.RUNNING)
    wakeable = Q(vm__power_state=PowerState.OFF) & ~Q(vm__physical__mac="")
    rows = rows.filter(awake | wakeable, ~Exists(jobs_on_desktops(bringing_up=False)), vm__physical__maintenance=False)
    return rows.order_by(Case(When(awake, then=Value(0)), default=Value(1)), "failures", "number")


def look_after(pool: Pool) -> int:
    """One pass, under the lock of the pool's row; returns how many desktops are left.

    An automatic pool takes back what was switched off. What is to leave the pool does: the PC itself stays as it is.
    """
    rows = list(Desktop.objects.filter(pool=pool).select_related("vm", "holder").order_by("number"))
    ids = [row.pk for row in rows]
    jobs = Job.objects.filter(subject_kind="vm", subject_id__in=ids, state__in=ACTIVE)
    busy = set(jobs.values_list("subject_id", flat=True))
    for row in rows:
        done_with = row.state == DesktopState.ASSIGNED and row.vm.power_state == PowerState.OFF
        if done_with and pool.kind == Pool.Kind.AUTOMATIC and row.pk not in busy:
            take_back(builder(pool), row, pool, reason=N_("it was switched off"))
    if not POOL.is_(pool.state, "open"):
        left = Desktop.objects.filter(pool=pool, state__in=(DesktopState.FREE, DesktopState.BROKEN))
        DESKTOP.attempt(left, "retire", changed_at=clock.now())
    for pk in list(Desktop.objects.filter(pool=pool, state=DesktopState.RETIRING).values_list("pk", flat=True)):
        Desktop.objects.filter(pk=pk).delete()
        publish("desktop", pk, "removed")
        publish("vm", pk, "changed")
    return count(pool)


def pools_for_pcs(actor: Actor) -> QuerySet[Pool]:
    """Those that the actor may put PCs into."""
    return visible_to(actor, Pool, "pool.manage").filter(template__isnull=True, state=PoolState.ACTIVE)


def count(pool: Pool) -> int:
    """How many PCs it has, which is its size: written where it differs."""
    size = Desktop.objects.filter(pool=pool).count()
    if size != pool.size:
        Pool.objects.filter(pk=pool.pk).update(size=size)
        pool.size = size
        publish("pool", pool.pk)
    return size
