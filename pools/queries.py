"""Reading pools: with counts for lists, with desktops for a page, and what one user has and may take."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db.models import Count, Prefetch, Q, QuerySet

from broker.access.actor import Actor
from broker.access.require import in_scope, may, own, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from broker.virt.queries import active_jobs
from broker.virt.states import VmState

from .models import Assignment, Booking, Desktop, MetaPool, Pool
from .states import DesktopState, PoolState

_FREE = Q(desktops__state=DesktopState.FREE, desktops__vm__state=VmState.READY)


def pools(actor: Actor) -> QuerySet[Pool]:
    """The pools the actor may see, each with `total`, `free`, `ready` (free and running), `taken`, `broken`,

    `building` (being made) and `resetting` counts. One query.
    """
    return with_counts(visible_to(actor, Pool))


def with_counts(rows: QuerySet[Pool]) -> QuerySet[Pool]:
    """The counts of `pools` for any pools."""
    return rows.select_related("cluster", "template", "version", "storage", "network").annotate(
        total=Count("desktops"),
        free=Count("desktops", filter=_FREE),
        ready=Count("desktops", filter=_FREE & Q(desktops__vm__power_state=PowerState.RUNNING)),
        taken=_count(DesktopState.ASSIGNED),
        broken=_count(DesktopState.BROKEN),
        building=_count(DesktopState.BUILDING),
        resetting=_count(DesktopState.RESETTING),
    )


def _count(state: DesktopState) -> Count:
    return Count("desktops", filter=Q(desktops__state=state))


def pool_details(actor: Actor) -> QuerySet[Pool]:
    """`pools`, with their desktops (machine, host and holder loaded) as `desktops`. Two queries."""
    desktops = Desktop.objects.select_related("vm__host", "vm__template_version", "holder").order_by("number")
    return pools(actor).prefetch_related(Prefetch("desktops", desktops))


def desktops(actor: Actor) -> QuerySet[Desktop]:
    """Desktops the actor holds, or that are in pools the actor manages; machine, pool and holder loaded."""
    managed = visible_to(actor, Pool, "pool.manage").values("pk")
    mine = Q(holder=actor.user) if actor.user else Q(pk__in=[])
    if actor.scope is not None:
        machines = in_scope(actor, VirtualMachine.objects.all(), "vm.view").values("pk")
        mine &= Q(vm__in=machines) | Q(pool__in=in_scope(actor, Pool.objects.all(), "pool.view").values("pk"))
    return Desktop.objects.filter(mine | Q(pool__in=managed)).select_related("vm__host", "pool", "holder")


def find_desktop(actor: Actor, pk: Any) -> Desktop:
    """One of `desktops`; raises Missing."""
    try:
        return desktops(actor).get(pk=pk)
    except (Desktop.DoesNotExist, ValueError, TypeError, ValidationError) as error:
        raise Missing(
            N_("There is no such desktop."), fix=N_("Go back to the list; it may have been given back or removed.")
        ) from error


@dataclass(frozen=True, slots=True)
class Held:
    """A desktop the user has, and the job at work on it."""

    desktop: Desktop
    job: Job | None
    may_release: bool


@dataclass(frozen=True, slots=True)
class Mine:
    """All of a user's desktops, and the pools of which more may be taken (with the counts of `pools`)."""

    held: Sequence[Held]
    offered: Sequence[Pool]


def mine(actor: Actor) -> Mine:
    """What the user behind `actor` has and may take: four queries, whatever their number."""
    if actor.user is None:
        return Mine((), ())
    rows = list(
        Desktop.objects.filter(holder=actor.user)
        .select_related("vm__host", "vm__template_version__template", "pool")
        .order_by("pool__title", "number")
    )
    jobs = active_jobs("vm", [row.pk for row in rows]) if rows else {}
    held_of: dict[UUID, int] = {}
    for row in rows:
        held_of[row.pool_id] = held_of.get(row.pool_id, 0) + 1
    usable = visible_to(actor, Pool.objects.filter(state=PoolState.ACTIVE), "pool.use")
    offered = [pool for pool in with_counts(usable) if held_of.get(pool.pk, 0) < pool.max_per_user]
    held = [Held(row, jobs.get(row.pk), row.pool.kind == Pool.Kind.AUTOMATIC) for row in rows]
    return Mine(held, offered)


def offered_meta_pools(actor: Actor, theirs: Mine) -> list[MetaPool]:
    """The meta-pools of which the user behind `actor`, who has `theirs`, may take one more: two queries at most."""
    held = Counter(one.desktop.pool_id for one in theirs.held)
    rows = visible_to(actor, MetaPool, "meta-pool.use").prefetch_related("members")
    return [meta for meta in rows if sum(held[one.pool_id] for one in meta.members.all()) < meta.max_per_user]


def history(actor: Actor, pool: Pool) -> QuerySet[Assignment]:
    """Who had which desktop of `pool`, the newest first: all for who manages it or reads all, else one's own."""
    rows = Assignment.objects.filter(pool=pool).select_related("user")
    reads_all = may(actor, "system.view") or may(actor, "pool.manage", pool)
    return rows if reads_all else rows.filter(own(actor, Q(user=actor.user_id), "pool.view", pool))


def bookings(actor: Actor, pool: Pool) -> QuerySet[Booking]:
    """What is and was booked of `pool`: all for who manages it or reads all, else one's own."""
    rows = Booking.objects.filter(pool=pool)
    reads_all = may(actor, "system.view") or may(actor, "pool.manage", pool)
    mine = Q(user=actor.user_id, user__isnull=False)
    return rows if reads_all else rows.filter(own(actor, mine, "pool.view", pool))


def find_booking(actor: Actor, pk: Any) -> Booking:
    """One's own booking, or one of a pool that one manages or may read all of; raises Missing."""
    try:
        booking = Booking.objects.select_related("pool", "user").get(pk=pk)
    except (Booking.DoesNotExist, ValueError, TypeError, ValidationError) as error:
        raise _no_booking() from error
    if not bookings(actor, booking.pool).filter(pk=booking.pk).exists():
        raise _no_booking()
    return booking


def _no_booking() -> Missing:
    return Missing(
        N_("There is no such booking."), fix=N_("Go back to the calendar; it may have been removed, or is not yours.")
    )
