"""Reading rollouts: how far a pool's is, and for which desktops an update waits."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery

from broker.sql import Given, Statement

from .models import Assignment, Desktop, Pool, Rollout
from .rollout import keeps_data
from .states import ROLLOUT, DesktopState, RolloutState

_GONE = Q(state=DesktopState.RETIRING)


@dataclass(frozen=True, slots=True)
class Progress:
    """How many desktops are of the new version, and what the others wait for.

    `working` are being rebuilt, `free` are about to be, `held` wait until they are given back, `kept` hold data and
    wait until somebody says that it may go, `broken` wait to be reset.
    """

    rollout: Rollout
    total: int
    done: int
    working: int
    free: int
    held: int
    kept: int
    broken: int

    @property
    def old(self) -> int:
        return self.total - self.done

    @property
    def percent(self) -> int:
        return int(100 * self.done / self.total) if self.total else 100

    @property
    def stopped(self) -> bool:
        return self.rollout.state == RolloutState.PAUSED


def progress(pool: Pool) -> Progress | None:
    """Of the pool's open rollout, None without one: two queries."""
    open_states = sorted(ROLLOUT.sets["open"])
    rollout = Rollout.objects.filter(pool=pool, state__in=open_states).select_related("version", "previous").first()
    if rollout is None:
        return None
    old = ~Q(vm__template_version=rollout.version_id)
    used = Exists(Assignment.objects.filter(desktop=OuterRef("pk"))) if keeps_data(pool) else Q(pk__in=[])
    counts = Desktop.objects.filter(pool=pool).exclude(_GONE).aggregate(
        total=Count("pk"),
        done=Count("pk", filter=~old),
        working=Count("pk", filter=old & Q(state__in=(DesktopState.RESETTING, DesktopState.BUILDING))),
        held=Count("pk", filter=old & Q(state=DesktopState.ASSIGNED)),
        kept=Count("pk", filter=old & Q(state=DesktopState.FREE) & Q(used)),
        broken=Count("pk", filter=old & Q(state=DesktopState.BROKEN)),
    )  # fmt: skip
    waiting = counts["total"] - sum(counts[name] for name in ("done", "working", "held", "kept", "broken"))
    return Progress(rollout, free=waiting, **counts)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An update that waits for a desktop. `loses_data`: what its user keeps on it goes."""

    number: int
    notes: str
    loses_data: bool


def _running(**pool: Any) -> QuerySet[Rollout]:
    return Rollout.objects.filter(state=RolloutState.RUNNING, **pool).select_related("version").order_by()


# Built once: every page of a screen asks for its own pool.
_RUNNING = Statement(lambda: _running(pool=Given("pool")))


def waiting(desktops: Iterable[Desktop]) -> dict[UUID, Waiting]:
    """For which of these (pool and machine loaded) an update waits: one query, whatever their number."""
    rows = list(desktops)
    if not rows:
        return {}
    pools = {row.pool_id for row in rows}
    running = _RUNNING.objects(pool=pools.pop()) if len(pools) == 1 else list(_running(pool__in=pools))
    versions = {rollout.pool_id: rollout.version for rollout in running}
    found = {}
    for row in rows:
        version = versions.get(row.pool_id)
        if version is not None and row.vm.template_version_id not in (None, version.pk):
            found[row.pk] = Waiting(version.number, version.notes, keeps_data(row.pool))
    return found


def waiting_number() -> Subquery:
    """For annotating desktops: the number of the version that waits for each, NULL where none does."""
    running = Rollout.objects.filter(pool=OuterRef("pool"), state=RolloutState.RUNNING)
    return Subquery(running.exclude(version=OuterRef("vm__template_version")).values("version__number")[:1])
