"""From a MachineSpec to domain XML: a fresh document, and the same spec applied to one that exists.

`fresh` decides what a spec does not speak of, once. `apply` only touches what the spec speaks of, so that
elements and devices somebody else put in survive.
"""

from dataclasses import asdict, replace

from broker.virt.driver import DeviceSpec, DiskSpec, MachineSpec, NicSpec
from broker.virt.drivers.libvirt.domain_xml import hardware, screen
from broker.virt.drivers.libvirt.domain_xml.devices import (
    Balloon,
    Channel,
    Console,
    Controller,
    Disk,
    Graphics,
    HostDev,
    Input,
    Interface,
    Rng,
    Serial,
    Video,
)
from broker.virt.drivers.libvirt.domain_xml.machine import Machine, Timer

AGENT = "org.qemu.guest_agent.0"
CLIPBOARD = "com.redhat.spice.0"
TRANSLATION_CACHE_MIB = 128
BALLOON_PERIOD = 10  # seconds
QXL_KIB = 16384  # of one screen, which is libvirt's own number
ON_SCSI, ON_SATA = 15, 6  # disks on one controller, as libvirt counts them
FILTERS = {"addresses": "clean-traffic", "mac": "no-mac-spoofing"}  # libvirt's own, by what a card is held to


def fresh(spec: MachineSpec, *, emulated: bool) -> Machine:
    """A new definition. `emulated`: the host has no working KVM."""
    machine = Machine.new(
        type="qemu" if emulated else "kvm", name=spec.name, uuid=spec.uuid,
        os_type="hvm", arch="x86_64", machine=spec.machine, acpi=True, apic=True,
        clock_offset="utc", on_poweroff="destroy", on_reboot="restart", on_crash="destroy",
        suspend_to_memory="no", suspend_to_disk="no",
    )  # fmt: skip
    if emulated:
        # QEMU's default is a quarter of its gigabyte limit per guest, which many guests on a host never need
        machine.translation_cache, machine.translation_cache_unit = TRANSLATION_CACHE_MIB, "MiB"
    else:
        machine.cpu_mode = "host-model"  # migratable between hosts of a cluster, unlike host-passthrough
    machine.timers.add(Timer.new(name="rtc", tick_policy="catchup"))
    machine.timers.add(Timer.new(name="pit", tick_policy="delay"))
    machine.timers.add(Timer.new(name="hpet", present="no"))
    for kind in ("tablet", "keyboard"):
        machine.inputs.add(Input.new(type=kind, bus="virtio"))
    machine.rngs.add(Rng.new(model="virtio", backend_model="random", backend="/dev/urandom"))
    machine.balloons.add(Balloon.new(model="virtio", period=BALLOON_PERIOD))
    if not spec.hardware.boot:
        spec = replace(spec, hardware=replace(spec.hardware, boot="disk"))
    apply(spec, machine)
    return machine


def apply(spec: MachineSpec, machine: Machine) -> None:
    """Make `machine` say what `spec` says and leave the rest alone."""
    machine.title = spec.title or None
    machine.memory, machine.memory_unit = spec.memory_mib * 1024, "KiB"
    machine.current_memory, machine.current_memory_unit = spec.memory_mib * 1024, "KiB"
    owned = set((machine.owned or "").split())
    _disks(spec.disks, machine, owned)
    _interfaces(spec.nics, machine, owned)
    _devices(spec.devices, machine, owned)
    _graphics(spec, machine)
    if spec.hardware.private_screens:
        screen.seclude(machine)
    _channels(spec, machine)
    if spec.screen is not None:
        screen.apply(spec.screen, machine)
    card, video = spec.hardware.video or spec.video, machine.videos.first()
    if video and video.model != card:
        machine.videos.remove(video)  # memory sizes and the like belong to the old model
        video = None
    if not video:
        video = machine.videos.add(Video.new(model=card, heads=1))
    _heads(spec.hardware.heads, video)
    if spec.serial and not machine.serials.first():
        machine.serials.add(Serial.new(type="pty", port=0))
        machine.consoles.add(Console.new(type="pty", target_type="serial", port=0))
    hardware.apply(spec.hardware, machine, spec.vcpus)
    machine.mark = spec.mark or None
    names = [disk.target for disk in spec.disks] + [nic.mac for nic in spec.nics]
    names += [device.key for device in spec.devices]
    machine.owned = " ".join(names) if spec.mark and names else None


def _disks(wanted: tuple[DiskSpec, ...], machine: Machine, owned: set[str]) -> None:
    present = {disk.target: disk for disk in machine.disks}
    for target, disk in present.items():
        if target in owned and target not in {spec.target for spec in wanted}:
            machine.disks.remove(disk)
    for spec in wanted:
        found = present.get(spec.target)
        if found and found.shareable and not spec.shareable and spec.target in owned:
            machine.disks.remove(found)  # a shared disk was here, and what is said of it goes with it
            found = None
        _describe(spec, found or machine.disks.add(_new_disk(spec)))
    _scsi(wanted, machine)


def _scsi(disks: tuple[DiskSpec, ...], machine: Machine) -> None:
    """A virtio controller for SCSI disks, before libvirt takes one that few guests know."""
    present = {one.index for one in machine.controllers if one.type == "scsi"}
    for index in sorted({_number(disk) // ON_SCSI for disk in disks if disk.bus == "scsi"} - present):
        machine.controllers.add(Controller.new(type="scsi", index=index, model="virtio-scsi"))


def _number(disk: DiskSpec) -> int:
    """Which one of the machine's disks it is, by its last letter."""
    return ord(disk.target[-1]) - ord("a")


def put_disk(spec: DiskSpec, machine: Machine) -> None:
    """What is at its target, or one more."""
    found = next((disk for disk in machine.disks if disk.target == spec.target), None)
    _describe(spec, found or machine.disks.add(_new_disk(spec)))


def disk_element(spec: DiskSpec) -> Disk:
    """A disk on its own, to be plugged into a machine that runs."""
    disk = _new_disk(spec)
    _describe(spec, disk)
    return disk


def _new_disk(spec: DiskSpec) -> Disk:
    return Disk.new(type="file", target=spec.target, discard="unmap")


def _describe(spec: DiskSpec, disk: Disk) -> None:
    disk.device, disk.driver_name, disk.format = spec.device, "qemu", spec.format
    if spec.lun is not None:
        disk.put(spec.path, spec.lun)
    else:
        disk.path = spec.path
    disk.forget_below()
    disk.sit(spec.bus)
    disk.readonly = spec.readonly
    if spec.bus == "sata" and spec.device == "disk" and disk.address is None:
        controller, unit = divmod(_number(spec), ON_SATA)  # the first controller is the CD drive's
        disk.address, disk.address_controller, disk.address_bus = "drive", controller + 1, 0
        disk.address_target, disk.address_unit = 0, unit
    if not disk.serial:  # by the one it has, the guest of an adopted machine finds its disk
        disk.serial = spec.serial or None
    if spec.limits is not None:
        disk.limit(asdict(spec.limits))
    if spec.discard is not None:
        disk.discard = spec.discard
    if spec.detect_zeroes is not None:
        disk.detect_zeroes = spec.detect_zeroes
    if spec.on_error is not None:
        disk.write_error = disk.read_error = spec.on_error
    if spec.shareable:
        disk.shareable, disk.cache = True, "none"


def _interfaces(wanted: tuple[NicSpec, ...], machine: Machine, owned: set[str]) -> None:
    present = {interface.mac: interface for interface in machine.interfaces}
    for mac, interface in present.items():
        if mac in owned and mac not in {spec.mac for spec in wanted}:
            machine.interfaces.remove(interface)
    for spec in wanted:
        found = present.get(spec.mac)
        describe_nic(spec, found or machine.interfaces.add(Interface.new(type="network", mac=spec.mac)))


def nic_element(spec: NicSpec) -> Interface:
    """A card on its own, to be plugged into a machine that runs."""
    interface = Interface.new(type="network", mac=spec.mac)
    describe_nic(spec, interface)
    return interface


def describe_nic(spec: NicSpec, interface: Interface) -> None:
    """Make a card say what `spec` says. A filter that is none of ours stays where no guard is wanted."""
    interface.network, interface.model = spec.network, spec.model
    if spec.connected == (interface.link == "down"):
        interface.link = None if spec.connected else "down"
    interface.limit(spec.in_kib, spec.out_kib)
    if spec.guard != "off" or interface.filter in FILTERS.values():
        interface.guard(FILTERS.get(spec.guard))


def _devices(wanted: tuple[DeviceSpec, ...], machine: Machine, owned: set[str]) -> None:
    """One that somebody else gave to it stays, and is not given twice."""
    keys = {spec.key for spec in wanted}
    for device in machine.hostdevs:
        if device.key in owned and device.key not in keys:
            machine.hostdevs.remove(device)
    present = {device.key for device in machine.hostdevs}
    for spec in wanted:
        if spec.key not in present:
            machine.hostdevs.add(device_element(spec))


def device_element(spec: DeviceSpec) -> HostDev:
    """A device on its own. Managed: libvirt takes it from the host's driver, and gives it back."""
    device = HostDev.new(mode="subsystem", type=spec.kind, managed="yes")
    if spec.kind == "usb":
        device.vendor, device.product = f"0x{spec.vendor}", f"0x{spec.product}"
        return device
    domain, bus, rest = spec.address.split(":")
    slot, function = rest.split(".")
    device.domain, device.bus, device.slot, device.function = (f"0x{one}" for one in (domain, bus, slot, function))
    return device


def _graphics(spec: MachineSpec, machine: Machine) -> None:
    """One console of each wanted kind. New ones listen on a unix socket that libvirt names: no port to guard."""
    present = {graphics.type: graphics for graphics in machine.graphics}
    for kind, graphics in present.items():
        if kind in ("vnc", "spice") and kind not in spec.graphics:
            machine.graphics.remove(graphics)
    for kind in spec.graphics:
        if kind in present:
            continue
        graphics = machine.graphics.add(Graphics.new(type=kind, listen_type="socket"))
        if kind == "vnc":
            graphics.share_policy = "ignore"  # admits a second viewer without throwing out the first
        else:
            graphics.agent_mouse = "client"


def _heads(wanted: int | None, video: Video) -> None:
    """For so many monitors; a QXL card has memory for each of them."""
    if wanted is None or video.heads == wanted:
        return
    video.heads = wanted
    if video.model == "qxl":
        video.memory = QXL_KIB * wanted


def _channels(spec: MachineSpec, machine: Machine) -> None:
    present = {channel.name: channel for channel in machine.channels}
    if spec.agent and AGENT not in present:
        machine.channels.add(Channel.new(type="unix", target_type="virtio", name=AGENT))
    # both kinds of clipboard channel use one port name: QEMU does not start with the two together
    kind = "spicevmc" if "spice" in spec.graphics else "qemu-vdagent"
    clipboard = present.get(CLIPBOARD)
    if clipboard and (not spec.clipboard or clipboard.type != kind):
        machine.channels.remove(clipboard)
        clipboard = None
    if spec.clipboard and spec.graphics and not clipboard:
        channel = machine.channels.add(Channel.new(type=kind))
        if kind == "qemu-vdagent":
            channel.clipboard, channel.mouse = "yes", "client"
        channel.target_type, channel.name = "virtio", CLIPBOARD
