"""The host has the processors that the machine is pinned to."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.cpu_pinning import written
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("lacks processors that the machine is pinned to")
HELP = N_("Pin the machine to processors that its hosts have.")


def check(request: Request, host: HostFacts) -> Reason | None:
    missing = request.host_cpus - host.online
    if not missing or not host.online:
        return None  # all there, or not observed yet
    return Reason(
        host.name, "pinning", N_("the machine is pinned to its processors %(missing)s, and it has %(online)s"),
        missing=written(missing), online=written(host.online),
    )  # fmt: skip
