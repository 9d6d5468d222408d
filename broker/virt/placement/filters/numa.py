"""The host has the NUMA nodes that the machine's memory comes from, and they have so much."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.cpu_pinning import written
from broker.virt.placement.facts import MIB, HostFacts, Request

WORDS = N_("lacks NUMA nodes that the machine’s memory comes from")
HELP = N_("Take the machine’s memory from NUMA nodes that its hosts have.")


def check(request: Request, host: HostFacts) -> Reason | None:
    wanted, nodes = request.memory_nodes, dict(host.nodes)
    if not wanted or not nodes:
        return None  # none asked for, or not observed yet
    if missing := wanted - nodes.keys():
        return Reason(
            host.name, "numa", N_("the machine’s memory comes from its NUMA nodes %(missing)s, and it has %(nodes)s"),
            missing=written(missing), nodes=written(nodes),
        )  # fmt: skip
    has = sum(nodes[node] for node in wanted)
    if not request.memory_strict or has >= request.memory_mib * MIB:
        return None
    return Reason(
        host.name, "numa", N_("its NUMA nodes %(nodes)s have %(has)s MiB, and the machine takes %(needed)s from them"),
        nodes=written(wanted), has=has // MIB, needed=request.memory_mib,
    )  # fmt: skip
