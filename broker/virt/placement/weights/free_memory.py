"""Prefer the host with the largest share of its memory left."""

from broker.virt.placement.facts import HostFacts, Request

FACTOR = 1.0


def weigh(request: Request, host: HostFacts) -> float:
    return host.memory_left / host.memory if host.memory else 0.0
