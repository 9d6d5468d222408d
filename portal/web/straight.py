"""Where somebody lands who has just signed in."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse

from broker.access.actor import Actor
from broker.access.require import directly_on, visible_to
from broker.access.roles import covers
from broker.core.errors import BerthError
from broker.sql import Given, Statement, each, several
from broker.virt.models import VirtualMachine
from broker.virt.states import VmState
from pools.actions.allocate import allocate
from pools.actions.allocate_meta import allocate_meta
from pools.models import Desktop, MetaPool, Pool
from pools.states import PoolState

from .booking_cards import booked_by
from .parts import error_sentences

# Everybody comes through here in the morning: no more is read than where to go.
_HELD = Statement(
    lambda: Desktop.objects.filter(holder=Given("user")).order_by().values_list("vm__pk", "vm__state", "pool_id")
)


def _active() -> QuerySet[Pool]:
    return Pool.objects.filter(state=PoolState.ACTIVE).order_by()


@lru_cache(maxsize=64)
def _granted(count: int) -> Statement:
    """The pools among so many."""
    return Statement(lambda: _active().filter(pk__in=several("pool", count)))  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class _Machine:
    """One that would be a card of the list; `pool` is that of a desktop which the user holds."""

    id: UUID
    state: str
    pool: UUID | None = None


def straight_way(request: HttpRequest, actor: Actor) -> str:
    """The screen of the one desktop of somebody who has exactly one and manages nothing; else the list.

    What counts is what the list would show. The one may be a pool or a meta-pool: then a desktop is taken.
    When that fails, the list says why.
    """
    from portal.context import manages

    if manages(actor):
        return _home()
    machines = _machines(actor)
    if len(machines) > 1:
        return _home()
    pools = _pools(actor, machines)
    if len(machines) + len(pools) > 1:
        return _home()
    metas = _metas(actor, machines)
    if len(machines) + len(pools) + len(metas) != 1:
        return _home()
    if machines:
        return reverse("portal:console", args=[machines[0].id]) if machines[0].state == VmState.READY else _home()
    if pools and pools[0].booked and pools[0].pk not in booked_by(actor, pools).due:
        return _home()  # maybe to book: what no booking needs is taken only when somebody says so
    try:
        if pools:
            allocation = allocate(actor=actor, pool=pools[0])
        else:
            allocation = allocate_meta(actor=actor, meta=metas[0]).allocation
    except BerthError as error:
        messages.error(request, " ".join(error_sentences(error)).strip())
        return _home()
    return reverse("portal:console", args=[allocation.desktop.pk])


def _home() -> str:
    return reverse("portal:home")


def _machines(actor: Actor) -> list[_Machine]:
    """Those of `my_machines`."""
    found = {id: _Machine(id, state, pool) for id, state, pool in _HELD.rows(user=actor.user_id)}
    granted = {
        held.object_id
        for held in actor.grants()
        if held.object_id and held.object_kind == "vm" and covers(list(held.verbs), "vm.use")
    }
    if more := granted - found.keys():
        rows = VirtualMachine.objects.filter(pk__in=more).order_by().values_list("pk", "state")
        found |= {id: _Machine(id, state) for id, state in rows}
    return list(found.values())


def _pools(actor: Actor, machines: list[_Machine]) -> list[Pool]:
    """The pools of which the user may take one more."""
    granted = directly_on(actor, "pool", "pool.use")
    rows: Iterable[Pool]
    if granted is None:
        rows = visible_to(actor, _active(), "pool.use")
    else:
        rows = _granted(len(granted)).objects(**each("pool", granted)) if granted else ()
    return [pool for pool in rows if sum(one.pool == pool.pk for one in machines) < pool.max_per_user]


def _metas(actor: Actor, machines: list[_Machine]) -> list[MetaPool]:
    """The meta-pools of which the user may take one more; without a right on any, nothing is asked."""
    if directly_on(actor, "meta-pool", "meta-pool.use") == []:
        return []
    rows = visible_to(actor, MetaPool, "meta-pool.use").prefetch_related("members")
    return [
        meta
        for meta in rows
        if sum(one.pool in {member.pool_id for member in meta.members.all()} for one in machines) < meta.max_per_user
    ]
