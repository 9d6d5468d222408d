"""The host sees all the storage that the machine's disks and their backing images lie on, and all of it is in use."""

from broker.core.errors import Reason
from broker.core.text import gettext_noop as N_
from broker.virt.placement.facts import HostFacts, Request

WORDS = N_("does not see the storage, or it is in maintenance")
HELP = N_("Activate the storage, connect the hosts to it, or move the disks to storage that they see.")


def check(request: Request, host: HostFacts) -> Reason | None:
    if request.storages <= host.storages:
        return None
    return Reason(host.name, "storage", N_("it does not see the storage of its disks, or that is in maintenance"))
