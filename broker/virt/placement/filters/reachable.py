"""The host answers, and was heard of lately. One never observed yet (just added) is given its chance."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

# Six of the monitor's passes: a busy monitor may miss some, a dead host is known to be dead sooner, by `error`.
STALE_SECONDS = 60.0
WORDS = N_("does not answer")
HELP = N_("See to the hosts that do not answer: power, network, libvirt.")


def check(request: Request, host: HostFacts) -> Reason | None:
    if host.error:
        return Reason(host.name, "reachable", N_("it does not answer (%(error)s)"), error=host.error)
    if host.seen_ago is not None and host.seen_ago > STALE_SECONDS:
        return Reason(
            host.name, "reachable", N_("it was last seen %(seconds)s seconds ago"), seconds=int(host.seen_ago)
        )
    return None
