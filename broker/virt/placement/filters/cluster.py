"""The host belongs to the machine's cluster and, where something binds the machine to one host, is that host."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("not a host of the right cluster, or not the one the machine is bound to")
HELP = N_("Put a host into service in the cluster, or free the machine from the host it is bound to.")


def check(request: Request, host: HostFacts) -> Reason | None:
    if host.cluster != request.cluster:
        return Reason(host.name, "cluster", N_("it belongs to another cluster"))
    if request.host is not None and host.id != request.host:
        return Reason(host.name, "cluster", N_("the machine is bound to another host"))
    return None
