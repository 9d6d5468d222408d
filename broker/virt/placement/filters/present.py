"""A machine that is to move away from its host goes to another one."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("the host it runs on")
HELP = N_("Add a host to which it could move.")


def check(request: Request, host: HostFacts) -> Reason | None:
    return Reason(host.name, "present", N_("it runs there now")) if request.leaving == host.id else None
