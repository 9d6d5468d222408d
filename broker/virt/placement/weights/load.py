"""Spread or gather by processor load, where the cluster's policy says so."""

from broker.virt.placement.facts import HostFacts, Request
from broker.virt.placement.policy import EVEN, SAVING

FACTOR = 2.0


def weigh(request: Request, host: HostFacts) -> float:
    load = host.load or 0.0
    if request.policy.policy == EVEN:
        return -load
    return load if request.policy.policy == SAVING else 0.0
