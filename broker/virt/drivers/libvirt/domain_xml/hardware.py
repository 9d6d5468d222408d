"""The chosen hardware of a machine, written into its definition; what was not chosen stays as it is."""

from collections.abc import Callable
from typing import TypeVar

from broker.virt.driver import Hardware
from broker.virt.drivers.libvirt.domain_xml import numa
from broker.virt.drivers.libvirt.domain_xml.devices import Disk, Interface, Rng, Sound, Tpm, Watchdog
from broker.virt.drivers.libvirt.domain_xml.machine import Feature, Machine, Timer
from broker.virt.drivers.libvirt.domain_xml.mapping import Element, Items

E = TypeVar("E", bound=Element)
HYPERV_CLOCK, SPINS = "hypervclock", 8191  # as Microsoft and libvirt's own tools have it
MODES = ("host-model", "host-passthrough", "maximum")


def apply(hardware: Hardware, machine: Machine, vcpus: int) -> None:
    """Make `machine` have `hardware`. Its disks and cards are written before, for they are what it boots from, and
    its memory, which is what it has of the most."""
    _vcpus(hardware, machine, vcpus)
    if hardware.system is not None:
        _system(hardware.system, machine)
    if hardware.firmware is not None:
        _firmware(hardware.firmware, machine)
    if hardware.cpu is not None:
        _cpu(hardware.cpu, machine)
    topology = (hardware.sockets, hardware.cores, hardware.threads)
    if any(topology):
        machine.sockets, machine.cores, machine.threads = (count or 1 for count in topology)
    numa.apply(hardware, machine)
    if hardware.balloon_mib:
        machine.current_memory, machine.current_memory_unit = hardware.balloon_mib * 1024, "KiB"
    _wish(machine.tpms, hardware.tpm, lambda: Tpm.new(model="tpm-crb", backend="emulator", version="2.0"))
    _wish(machine.sounds, hardware.sound, lambda: Sound.new(model="ich9" if _modern(machine) else "ich6"))
    _wish(
        machine.rngs, hardware.rng, lambda: Rng.new(model="virtio", backend_model="random", backend="/dev/urandom")
    )  # fmt: skip
    if hardware.watchdog is not None:
        _wish(machine.watchdogs, hardware.watchdog != "none", lambda: Watchdog.new(model="i6300esb"))
        for watchdog in machine.watchdogs:
            watchdog.action = hardware.watchdog
    if hardware.boot is not None:
        boot(hardware.boot, machine)


def _vcpus(hardware: Hardware, machine: Machine, vcpus: int) -> None:
    """So many, and the room for more. Which of them are plugged in, libvirt says of each once one was."""
    before = (machine.vcpus, machine.current_vcpus)
    most = max(hardware.max_vcpus or 0, vcpus)
    machine.vcpus = most
    if hardware.max_vcpus is not None or (machine.current_vcpus or 0) > most:
        machine.current_vcpus = vcpus if vcpus < most else None
    if (machine.vcpus, machine.current_vcpus) != before:
        machine.forget_each_vcpu()


def _firmware(wanted: str, machine: Machine) -> None:
    """Which file that is, is found by libvirt; what it found for another kind is dropped."""
    secure = any(feature.name == "secure-boot" and feature.enabled == "yes" for feature in machine.firmware_features)
    present = ("secure" if secure else "uefi") if machine.firmware == "efi" else "bios"
    if wanted == present and (wanted != "bios" or machine.loader is None):
        return
    machine.forget_firmware()
    if wanted == "bios":
        return
    machine.firmware = "efi"
    for name in ("enrolled-keys", "secure-boot"):
        machine.firmware_features.add(Feature.new(enabled="yes" if wanted == "secure" else "no", name=name))
    if wanted == "secure":
        machine.smm = "on"


def _system(wanted: str, machine: Machine) -> None:
    """Windows takes the clock for local time, asks less often where it knows of Hyper-V, and has no virtio pointer."""
    windows = wanted == "windows"
    for tablet in machine.inputs:
        if tablet.type == "tablet":
            tablet.sit("usb" if windows else "virtio")
    clock = next((one for one in machine.timers if one.name == HYPERV_CLOCK), None)
    if not windows:
        if machine.clock_offset == "localtime":
            machine.clock_offset = "utc"
        if clock is not None:
            machine.timers.remove(clock)
        machine.forget_hyperv()
        return
    machine.clock_offset = "localtime"
    if machine.type != "kvm":
        return  # what is told of Hyper-V is KVM's to keep
    if clock is None:
        machine.timers.add(Timer.new(name=HYPERV_CLOCK, present="yes"))
    machine.hyperv = machine.hyperv or "custom"
    if machine.hyperv == "custom":
        machine.hyperv_relaxed = machine.hyperv_vapic = machine.hyperv_spinlocks = "on"
        machine.hyperv_retries = machine.hyperv_retries or SPINS


def _cpu(wanted: str, machine: Machine) -> None:
    if (machine.cpu_model if machine.cpu_mode == "custom" else machine.cpu_mode) == wanted:
        return
    machine.forget_cpu()
    if wanted in MODES:
        machine.cpu_mode = wanted
    else:
        machine.cpu_mode, machine.cpu_match, machine.cpu_model = "custom", "exact", wanted
        machine.cpu_fallback = "forbid"


def boot(kinds: str, machine: Machine) -> None:
    """The first device of each kind, in this order; a legacy list of kinds would forbid such an order."""
    wanted: list[Disk | Interface] = []
    for kind in kinds.split("-"):
        cards = iter(machine.interfaces)
        disks = (disk for disk in machine.disks if (disk.device or "disk") == kind)
        found = next(cards, None) if kind == "network" else next(disks, None)
        if found is not None:
            wanted.append(found)
    ordered = [one for one in (*machine.disks, *machine.interfaces) if one.boot_order is not None]
    if {one.node: one.boot_order for one in ordered} == {one.node: at for at, one in enumerate(wanted, 1)}:
        return
    machine.forget_boot()
    for at, one in enumerate(wanted, 1):
        one.boot_order = at


def _wish(items: Items[E], wanted: bool | None, make: Callable[[], E]) -> None:
    """Have one of these devices, or none, or (None) leave it."""
    if wanted is False:
        for item in items:
            items.remove(item)
    elif wanted and not len(items):
        items.add(make())


def _modern(machine: Machine) -> bool:
    return "q35" in (machine.machine or "")
