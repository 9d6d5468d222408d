"""Snapshots that somebody took with the hypervisor's own tools: inside the images, and known to the host alone."""

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .driver import HostConnection
from .models import VirtualMachine


def refuse(line: HostConnection, vm: VirtualMachine) -> None:
    """Raise Conflict when there are any: another image on top of them, or a copy, would part with them."""
    count = len(line.saved_points(str(vm.pk)).snapshots)
    if count:
        raise Conflict(
            N_("%(name)s has %(count)s snapshots that were taken on its host, not by Berth."), rule="snapshot.foreign",
            fix=N_("Delete them there first (virsh snapshot-list, virsh snapshot-delete): the two kinds do not mix."),
            name=vm.name, count=count,
        )  # fmt: skip
