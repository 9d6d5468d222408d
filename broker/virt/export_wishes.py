"""What is asked before a file is made of a machine or a disk of it, to be downloaded."""

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .asking import require_power, require_usable
from .driver import PowerState
from .models import Snapshot, VirtualMachine

OFF = (PowerState.OFF, PowerState.CRASHED)
MOST = 8  # exports of one machine at a time


def require_still(vm: VirtualMachine, snapshot: Snapshot | None) -> None:
    """Raise Busy or Conflict unless the machine is at rest, and off where no snapshot holds its disks."""
    require_usable(vm)
    if snapshot is None and vm.power_state in (PowerState.RUNNING, PowerState.PAUSED):
        raise Conflict(
            N_("%(name)s is running, and its guest writes to the disk."), rule="export.still",
            fix=N_("Take a snapshot and choose that, or shut the machine down."), name=vm.name,
        )  # fmt: skip
    if snapshot is None:
        require_power(vm, OFF)


def require_few(vm: VirtualMachine) -> None:
    """Raise Conflict when there are too many of the machine already."""
    if vm.exports.count() >= MOST:
        raise Conflict(
            N_("%(name)s has %(most)s files to be downloaded already."), rule="export.most",
            fix=N_("Delete some of them."), name=vm.name, most=MOST,
        )  # fmt: skip


def plain_name(*parts: str, most: int = 180) -> str:
    """What a file is called: letters, digits, dots and hyphens."""
    return "".join(sign if sign.isascii() and (sign.isalnum() or sign in ".-") else "_" for sign in "-".join(parts))[
        :most
    ]
