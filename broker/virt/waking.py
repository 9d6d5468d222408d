"""A machine that finds no room wakes a host, and its job waits for that instead of failing."""

import math
from collections.abc import Collection
from dataclasses import replace
from typing import NoReturn
from uuid import UUID

from broker.core.errors import NoCapacity
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet

from .models import Cluster, Host, VirtualMachine
from .placement.gather import hosts_of, wanted_by
from .placement.policy import Policy
from .placement.power import fit
from .power_facts import WAKE_PLAN, powers_of, wake_seconds
from .power_saving import begin
from .states import HostState

ASK_AGAIN = 3.0


def wait_for_host(
    ctx: Context,
    vm: VirtualMachine,
    refusal: NoCapacity,
    *,
    bound_to: UUID | None = None,
    storages: Collection[UUID] | None = None,
) -> NoReturn:
    """Have a host woken that would do for the machine. Call outside a transaction, with what placement said.

    `bound_to` and `storages` as `place` was given them.
    Raises NotYet while one is on its way, and `refusal` when no sleeping host would do.
    """
    coming, found = _sleepers(vm, bound_to, storages)
    if not coming:
        if found is None:
            raise refusal
        ctx.check()
        begin(WAKE_PLAN, Host.objects.get(pk=found), N_("“%(machine)s” finds no room"), machine=vm.name)
    lasts = wake_seconds()
    if lasts is None:
        raise NotYet(ASK_AGAIN, N_("No host that is on has room: one is being woken"))
    raise NotYet(
        ASK_AGAIN, N_("No host that is on has room: one is being woken, which took about %(seconds)s s before"),
        seconds=math.ceil(lasts),
    )  # fmt: skip


def would_help(vm: VirtualMachine, *, bound_to: UUID | None = None, storages: Collection[UUID] | None = None) -> bool:
    """Whether a sleeping host would do for the machine, so that its job is to wait for it."""
    coming, found = _sleepers(vm, bound_to, storages)
    return coming or found is not None


def _sleepers(vm: VirtualMachine, bound_to: UUID | None, storages: Collection[UUID] | None) -> tuple[bool, UUID | None]:
    """Whether a host that would do is on its way up; if none is, the best of those that could be woken."""
    if not Host.objects.filter(cluster=vm.cluster_id, state=HostState.ASLEEP).exists():
        return False, None
    cluster = Cluster.objects.get(pk=vm.cluster_id)
    request, powers = wanted_by(vm, bound_to=bound_to), powers_of(cluster)
    if storages is not None:
        request = replace(request, storages=frozenset(storages))
    facts = hosts_of(cluster.pk, besides=vm.pk, policy=Policy.of(cluster.rules), asked=request)
    if fit(request, [one for one in facts if one.asleep and powers[one.id].waking]) is not None:
        return True, None
    found = fit(request, [one for one in facts if powers[one.id].ready])
    return False, found.id if found else None
