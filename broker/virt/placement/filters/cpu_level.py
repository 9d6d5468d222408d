"""The host offers the processor level of the cluster, so that machines can go from each host to each other."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("lacks the cluster's processor level")
HELP = N_("Choose a processor level for the cluster that all its hosts offer.")


def check(request: Request, host: HostFacts) -> Reason | None:
    level = request.policy.cpu_level
    if not level or not host.models or level in host.models:
        return None  # none asked for, or not observed yet
    return Reason(host.name, "cpu_level", N_("its processor does not offer %(level)s"), level=level)
