"""While the whole cluster is in maintenance, only highly available machines start."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request
from broker.virt.placement.policy import CLUSTER_MAINTENANCE

WORDS = N_("its cluster is in maintenance")
HELP = N_("Give the cluster another scheduling policy when the maintenance is over.")


def check(request: Request, host: HostFacts) -> Reason | None:
    if request.policy.policy != CLUSTER_MAINTENANCE or request.available:
        return None
    return Reason(host.name, "maintenance", N_("the cluster is in maintenance: only highly available machines start"))
