"""The host is not overloaded: asked where the cluster's policy spreads or gathers by load."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request
from broker.virt.placement.policy import EVEN, SAVING

WORDS = N_("overloaded")
HELP = N_("Wait until the load has gone down, add a host, or raise the cluster's high utilization.")


def check(request: Request, host: HostFacts) -> Reason | None:
    if request.policy.policy not in (EVEN, SAVING) or host.load is None or request.recovering:
        return None  # a machine that lost its host rather runs slowly than not at all
    if host.load <= request.policy.high_utilization:
        return None
    return Reason(
        host.name, "load", N_("its processors are %(load)s percent busy, more than %(most)s"),
        load=round(host.load), most=request.policy.high_utilization,
    )  # fmt: skip
