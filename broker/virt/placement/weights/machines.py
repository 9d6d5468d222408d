"""Prefer the host with the fewest machines, those being started among them: starting costs most."""

from broker.virt.placement.facts import HostFacts, Request

FACTOR = 0.5


def weigh(request: Request, host: HostFacts) -> float:
    return -float(host.machines)
