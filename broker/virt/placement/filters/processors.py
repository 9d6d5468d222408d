"""The host has as many processors as the machine, and has not given out more than the cluster allows."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("too few processors")
HELP = N_("Give the machine fewer processors, or allow more virtual processors for each real one.")


def check(request: Request, host: HostFacts) -> Reason | None:
    ratio = request.policy.vcpu_ratio
    if not host.cpus or not ratio:
        return None  # not observed yet, or as many as wanted
    if request.vcpus > host.cpus:
        return Reason(
            host.name, "processors", N_("it has %(cpus)s processors, the machine has %(vcpus)s"),
            cpus=host.cpus, vcpus=request.vcpus,
        )  # fmt: skip
    if host.vcpus + request.vcpus <= host.cpus * ratio:
        return None
    return Reason(
        host.name, "processors", N_("%(given)s of %(most)s virtual processors are given out"),
        given=host.vcpus, most=host.cpus * ratio,
    )  # fmt: skip
