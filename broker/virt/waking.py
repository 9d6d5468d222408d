"""A machine that finds no room wakes a host, and its job waits for that instead of failing."""

import math
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


def wait_for_host(ctx: Context, vm: VirtualMachine, refusal: NoCapacity, *, bound_to: UUID | None = None) -> NoReturn:
    """Have a host woken that would do for the machine. Call outside a transaction, with what placement said.

    Raises NotYet while one is on its way, and `refusal` when no sleeping host would do.
    """
    if not Host.objects.filter(cluster=vm.cluster_id, state=HostState.ASLEEP).exists():
        raise refusal
    cluster = Cluster.objects.get(pk=vm.cluster_id)
    request, powers = wanted_by(vm, bound_to=bound_to), powers_of(cluster)
    facts = hosts_of(cluster.pk, besides=vm.pk, policy=Policy.of(cluster.rules), asked=request)
    if fit(request, [one for one in facts if one.asleep and powers[one.id].waking]) is None:
        found = fit(request, [one for one in facts if powers[one.id].ready])
        if found is None:
            raise refusal
        ctx.check()
        begin(WAKE_PLAN, Host.objects.get(pk=found.id), N_("“%(machine)s” finds no room"), machine=vm.name)
    lasts = wake_seconds()
    if lasts is None:
        raise NotYet(ASK_AGAIN, N_("No host that is on has room: one is being woken"))
    raise NotYet(
        ASK_AGAIN, N_("No host that is on has room: one is being woken, which took about %(seconds)s s before"),
        seconds=math.ceil(lasts),
    )  # fmt: skip
