"""Prefer the host that most affinity groups wish for. Weighs more than all other weights together, as a wish should."""

from broker.virt.placement.facts import HostFacts, Request
from broker.virt.placement.wishes import agrees

FACTOR = 20.0


def weigh(request: Request, host: HostFacts) -> float:
    return float(sum(agrees(one, host.id) for one in request.affinities if not one.hard))
