"""The host is the one whose PCI and USB devices the machine has."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("lacks the devices that the machine has")
HELP = N_("Take the devices of its host from the machine, or put that host into service.")


def check(request: Request, host: HostFacts) -> Reason | None:
    if request.devices_on in (None, host.id):
        return None
    return Reason(host.name, "devices", N_("the machine has PCI or USB devices of another host"))
