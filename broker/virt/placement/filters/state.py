"""An administrator has not taken the host out of service."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("in maintenance, or switched off to save power")
HELP = N_("Activate a host that is in maintenance, or wake one that is asleep.")


def check(request: Request, host: HostFacts) -> Reason | None:
    if host.lost:
        return Reason(host.name, "state", N_("it was found dead and has not come back"))
    if host.asleep:
        return Reason(host.name, "state", N_("it is switched off to save power"))
    return None if host.schedulable else Reason(host.name, "state", N_("it is in maintenance"))
