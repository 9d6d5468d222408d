"""The host has memory left for the machine, counting what was promised to machines being started."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

MIB = 1024**2
# What QEMU needs beside the guest's memory: measured 30 to 90 MiB for small guests.
OVERHEAD_MIB = 64
WORDS = N_("too little memory left")
HELP = N_("Stop machines that are not needed, add a host, or give the machine less memory.")


def check(request: Request, host: HostFacts) -> Reason | None:
    needed = request.memory_mib + OVERHEAD_MIB
    if not host.memory:
        return None  # not observed yet: the host itself will refuse what it cannot do
    if host.memory_left >= needed * MIB:
        return None
    return Reason(
        host.name,
        "memory",
        N_("it has too little memory (%(free)s MiB left, %(needed)s needed)"),
        free=max(host.memory_left, 0) // MIB,
        needed=needed,
    )
