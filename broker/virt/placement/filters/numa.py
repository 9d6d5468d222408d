"""The host has the NUMA nodes that the machine's memory comes from, and they have so much besides that of others.

Counted are the machines whose memory comes from the same nodes: of others nobody but the host's kernel knows where it
lies. One of which the nodes are only preferred counts too, for it takes from them as long as there is some.
"""

from typing import Any

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.cpu_pinning import written
from broker.virt.placement.facts import MIB, HostFacts, Request

WORDS = N_("lacks NUMA nodes that the machine’s memory comes from")
HELP = N_("Take the machine’s memory from NUMA nodes that its hosts have.")
_TOO_SMALL = N_("its NUMA nodes %(nodes)s have %(has)s MiB, and the machine takes %(needed)s from them")
_TAKEN = N_(
    "its NUMA nodes %(nodes)s have %(has)s MiB, of which machines on it take %(taken)s, and this one takes %(needed)s"
)


def check(request: Request, host: HostFacts) -> Reason | None:
    wanted, nodes = request.memory_nodes, dict(host.nodes)
    if not wanted or not nodes:
        return None  # none asked for, or not observed yet
    if missing := wanted - nodes.keys():
        return Reason(
            host.name, "numa", N_("the machine’s memory comes from its NUMA nodes %(missing)s, and it has %(nodes)s"),
            missing=written(missing), nodes=written(nodes),
        )  # fmt: skip
    if not request.memory_strict:
        return None
    # Together with each that may take from these nodes and from others: all of them have to find room in all of those.
    for among in (wanted, *(wanted | other for other in host.on_nodes if wanted & other and not other <= wanted)):
        has = sum(nodes.get(node, 0) for node in among)
        taken = sum(mib for other, mib in host.on_nodes.items() if other <= among)
        if has >= (taken + request.memory_mib) * MIB:
            continue
        numbers: dict[str, Any] = {"nodes": written(among), "has": has // MIB, "needed": request.memory_mib}
        if not taken:
            return Reason(host.name, "numa", _TOO_SMALL, **numbers)
        return Reason(host.name, "numa", _TAKEN, taken=taken, **numbers)
    return None
