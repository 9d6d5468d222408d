"""The host has memory left for the machine, counting what was promised to machines being started.

With overcommit, what counts is what was given out: machines seldom touch all they are given, but the host must have
at least the part free that they are expected to.
"""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import MIB, HostFacts, Request

WORDS = N_("too little memory left")
HELP = N_("Stop machines that are not needed, add a host, or give the machine less memory.")


def check(request: Request, host: HostFacts) -> Reason | None:
    needed = request.ordinary_mib
    if not host.memory:
        return None  # not observed yet: the host itself will refuse what it cannot do
    left = _left(request, host) - (0 if request.recovering else host.reserved)
    if left >= needed * MIB:
        return None
    if left + host.reserved >= needed * MIB and host.reserved and not request.recovering:
        return Reason(
            host.name, "memory", N_("%(reserved)s MiB of its memory are kept for machines of a host that fails"),
            reserved=host.reserved // MIB,
        )  # fmt: skip
    return Reason(
        host.name,
        "memory",
        N_("it has too little memory (%(free)s MiB left, %(needed)s needed)"),
        free=max(left, 0) // MIB,
        needed=needed,
    )


def _left(request: Request, host: HostFacts) -> int:
    percent = request.policy.memory_overcommit
    if percent <= 100:
        return host.memory_left
    by_given = host.memory * percent // 100 - host.given_mib * MIB
    by_free = host.memory_left * percent // 100
    return min(by_given, by_free)
