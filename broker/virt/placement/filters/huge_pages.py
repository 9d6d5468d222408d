"""The host has enough free huge pages of the size that the machine's memory is in."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("too few huge pages")
HELP = N_("Keep more huge pages on a host (vm.nr_hugepages), or choose ordinary pages for the machine.")


def check(request: Request, host: HostFacts) -> Reason | None:
    size = request.page_kib
    if not size or not host.online:
        return None  # none asked for, or not observed yet
    anywhere = not request.memory_strict
    kept = (free for node, kib, free in host.pages if kib == size and (anywhere or node in request.memory_nodes))
    free = sum(kept) - host.pages_promised.get(size, 0)
    needed = request.memory_mib * 1024 // size
    if free >= needed:
        return None
    return Reason(
        host.name, "huge_pages", N_("it has %(free)s free pages of %(size)s KiB, and the machine needs %(needed)s"),
        free=max(free, 0), size=size, needed=needed,
    )  # fmt: skip
