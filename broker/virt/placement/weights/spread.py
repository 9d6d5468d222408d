"""Prefer the host on which fewest machines would stop together if it failed, by its share of the promises.

Looks at memory handed out per machine's size, so that a burst of starts does not go to one host before
the first observation shows it.
"""

from broker.virt.placement.facts import HostFacts, Request

FACTOR = 0.25


def weigh(request: Request, host: HostFacts) -> float:
    return -host.promised / (request.memory_mib * 1024**2) if request.memory_mib else 0.0
