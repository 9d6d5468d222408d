"""Devices of hosts given to machines: what has to be so that a machine may have one, and to which host it binds."""

from uuid import UUID

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

from .models import DeviceUse, HostDevice, VirtualMachine
from .quotas import up

MOST = 8  # on a machine
OUTSIDE = "hostdev"  # how an adopted machine has those that somebody gave it
# what the driver found → why no machine can have it, and what would help
UNFIT: dict[str, tuple[str, str]] = {
    "disk": (N_("the host has its disks on it"), N_("Choose a device that the host does not need.")),
    "network": (N_("the host's network goes through it"), N_("Choose a card that the host does not use, or take its "
                "cable out.")),
    "bridge": (N_("it leads to other devices"), N_("Choose one of those.")),
    "hub": (N_("it leads to other devices"), N_("Choose one of those.")),
    "alike": (N_("there are two alike, which cannot be told apart"), N_("Pull one of them out.")),
    "iommu": (N_("the host has no IOMMU, or it is switched off"), N_("Switch on VT-d or AMD-Vi in the host's firmware, "
              "and the kernel's option intel_iommu=on.")),
}  # fmt: skip


def bound_to(vm: VirtualMachine) -> UUID | None:
    """The host whose devices it has, or will have at its next start. Its `devices` are loaded with theirs."""
    return next((use.device.host_id for use in vm.devices.all()), None)


def require_fit(device: HostDevice) -> None:
    """Raise Conflict for one that is gone, or that no machine can have."""
    if not device.present:
        raise Conflict(
            N_("%(name)s is not in %(host)s any more."), rule="device.present", fix=N_("Plug it in."),
            name=device.name, host=device.host.name,
        )  # fmt: skip
    if device.unfit:
        cause, fix = UNFIT[device.unfit]
        raise Conflict(
            N_("No machine can have %(name)s: %(cause)s."), rule="device.fit", fix=fix, name=device.name, cause=cause
        )  # fmt: skip


def require_same_host(vm: VirtualMachine, device: HostDevice) -> None:
    """Raise Conflict for a device of another host than the machine is on, or is bound to."""
    others = HostDevice.objects.filter(uses__vm=vm).exclude(host=device.host_id)
    if vm.host_id not in (None, device.host_id) or others.exists():
        raise Conflict(
            N_("%(device)s is in %(host)s, and %(name)s is not on that host."), rule="device.host",
            fix=N_("Start it there once, or move it; or choose a device of its own host."),
            device=device.name, host=device.host.name, name=vm.name,
        )  # fmt: skip


def require_free(vm: VirtualMachine, *devices: HostDevice) -> None:
    """Raise Conflict when another machine that runs, or is about to, has one of them."""
    having = DeviceUse.objects.filter(device__in=devices, vm__in=VirtualMachine.objects.filter(up())).exclude(vm=vm)
    for use in having.select_related("vm", "device")[:1]:
        raise Conflict(
            N_("%(machine)s runs and has %(device)s."), rule="device.free",
            fix=N_("Shut that machine down, or take the device from it."), machine=use.vm.name, device=use.device.name,
        )  # fmt: skip


def require_startable(vm: VirtualMachine) -> None:
    """Raise Conflict when one of its devices is gone, unfit by now, or another running machine's."""
    devices = list(HostDevice.objects.filter(uses__vm=vm).select_related("host"))
    for device in devices:
        require_fit(device)
    if devices:
        require_free(vm, *devices)


def require_none(vm: VirtualMachine) -> None:
    """Raise Conflict where memory is to be kept: what a device of the host was at cannot be."""
    if vm.devices.exists() or OUTSIDE in vm.outside:
        raise Conflict(
            N_("%(name)s has devices of its host, and its memory cannot be kept with them."), rule="device.memory",
            fix=N_("Take them from it first, or do without its memory."), name=vm.name,
        )  # fmt: skip
