"""Spread by number of machines alone, where the cluster's policy says so."""

from broker.virt.placement.facts import HostFacts, Request
from broker.virt.placement.policy import BY_NUMBER

FACTOR = 4.0


def weigh(request: Request, host: HostFacts) -> float:
    return -float(host.machines) if request.policy.policy == BY_NUMBER else 0.0
