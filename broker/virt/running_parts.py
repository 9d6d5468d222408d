"""Parts given to a machine's present run: network cards, shared disks, devices, and why one of them has to wait.

What a part may be is known from its row; whether it comes, goes or changes, from what was noted of it.
"""

from collections.abc import Callable, Mapping
from typing import Any

from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context

from . import host_devices, specs, work
from .driver import Refused
from .models import DeviceUse, Disk, DiskShare, Nic, VirtualMachine
from .pending_parts import PARTS


class Waiting(Exception):
    """The guest was asked and has not done it yet; `refusal` is what is said when it never does."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__()
        self.refusal = refusal


def give(ctx: Context, vm: VirtualMachine, kind: str, pk: str, change: Mapping[str, Any]) -> None:
    """Give one part's change to the run; done when it has it. Raises Waiting, or the driver's refusal."""
    for part in PARTS[kind].rows(vm, [pk]):
        _GIVERS[kind](ctx, vm, part, change)


def _card(ctx: Context, vm: VirtualMachine, nic: Nic, change: Mapping[str, Any]) -> None:
    line, uuid, model = work.line(ctx, vm), str(vm.pk), nic.model
    if change.get("gone"):
        if not line.detach_nic(uuid, nic.mac):
            raise Waiting(
                Refused(
                    N_("The guest does not let the card %(mac)s go."),
                    fix=N_("Look whether its system has come up; or start it anew."), mac=nic.mac,
                )
            )  # fmt: skip
        return
    PARTS["nics"].changed(nic, change)
    work.ensure_network(ctx, work.host_of(vm), specs.network_spec(nic.network))
    if change.get("plug"):
        line.attach_nic(uuid, specs.nic_spec(nic))
        return
    if nic.model != model:
        raise Refused(N_("A card keeps its model while the machine runs."), fix=N_("Start the machine anew."))
    line.change_nic(uuid, specs.nic_spec(nic))


def _disk(ctx: Context, vm: VirtualMachine, disk: Disk, change: Mapping[str, Any]) -> None:
    raise Refused(
        N_("A disk is written to in its run as it was at its start."), fix=N_("Start the machine anew."),
    )  # fmt: skip


def _shared_disk(ctx: Context, vm: VirtualMachine, share: DiskShare, change: Mapping[str, Any]) -> None:
    line, uuid = work.line(ctx, vm), str(vm.pk)
    if change.get("gone"):
        if not line.detach_disk(uuid, share.target):
            raise Waiting(
                Refused(
                    N_("The guest does not let the disk %(target)s go."),
                    fix=N_("Unmount it in the guest, or shut the machine down first."), target=share.target,
                )
            )  # fmt: skip
        return
    work.with_storage(
        ctx, work.host_of(vm), share.disk.storage,
        lambda host, storage: host.attach_disk(uuid, specs.share_spec(share)),
    )  # fmt: skip


def _device(ctx: Context, vm: VirtualMachine, use: DeviceUse, change: Mapping[str, Any]) -> None:
    line, uuid = work.line(ctx, vm), str(vm.pk)
    if not change.get("gone"):
        host_devices.require_free(vm, use.device)
        line.attach_device(uuid, use.device.spec)
        return
    if not line.detach_device(uuid, use.device.spec):
        raise Waiting(
            Refused(
                N_("The guest does not let the device %(name)s go."),
                fix=N_("Stop using it in the guest, or start the machine anew."), name=use.device.name,
            )
        )  # fmt: skip


_GIVERS: dict[str, Callable[..., None]] = {
    "nics": _card, "disks": _disk, "shared_disks": _shared_disk, "devices": _device
}  # fmt: skip
