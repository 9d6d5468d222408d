"""The host's hypervisor offers every kind of console the machine has."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("lacks a console that the machine has")
HELP = N_("Give the machine a console that its hosts offer.")


def check(request: Request, host: HostFacts) -> Reason | None:
    lacking = request.graphics - host.graphics
    if not lacking or not host.graphics:  # an empty set: not observed yet
        return None
    return Reason(host.name, "graphics", N_("it offers no %(kinds)s console"), kinds=", ".join(sorted(lacking)))
