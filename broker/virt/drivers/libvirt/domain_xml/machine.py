"""A domain, as far as Berth speaks of it. Source: libvirt's formatdomain page."""

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
    Memory,
    Redirection,
    Rng,
    Serial,
    Smartcard,
    Sound,
    Tpm,
    Video,
    Watchdog,
)
from broker.virt.drivers.libvirt.domain_xml.mapping import MARK, Attr, Children, Element, Flag, Text


class Timer(Element):
    """How the guest's clock treats ticks that came late."""

    TAG = "timer"

    name = Attr("@name")
    tick_policy = Attr("@tickpolicy")
    present = Attr("@present")


class Cell(Element):
    """A part of the memory and the processors near it. Memory can be plugged into a machine that has one."""

    TAG = "cell"

    id = Attr("@id", int)
    cpus = Attr("@cpus")
    memory = Attr("@memory", int)
    unit = Attr("@unit")


class Pin(Element):
    """Which of the host's processors one of the machine's runs on."""

    TAG = "vcpupin"

    vcpu = Attr("@vcpu", int)
    cpus = Attr("@cpuset")


class Feature(Element):
    """What the firmware that libvirt looks for can do."""

    TAG = "feature"

    enabled = Attr("@enabled")
    name = Attr("@name")


class Machine(Element):
    """The domain. Memory in the unit of `memory_unit` (KiB when libvirt wrote the document).

    `mark`, `owned` and `run` are Berth's own words in the metadata: the machine's id, the targets and MAC
    addresses that came from a spec (so that one taken out of the spec is removed and a foreign one stays),
    and a random word written before each start (so that two runs with one domain id can be told apart).
    `boot` is in the live definition only, of a machine that came from another host: the name its run had there.
    """

    TAG = "domain"

    type = Attr("@type")
    name = Text("name")
    uuid = Text("uuid")
    title = Text("title")
    mark = Attr(f"metadata/{MARK}@id")
    owned = Attr(f"metadata/{MARK}@owned")
    run = Attr(f"metadata/{MARK}@run")
    boot = Attr(f"metadata/{MARK}@boot")
    memory = Text("memory", int)
    memory_unit = Attr("memory@unit")
    max_memory = Text("maxMemory", int)
    max_memory_unit = Attr("maxMemory@unit")
    max_memory_slots = Attr("maxMemory@slots", int)
    current_memory = Text("currentMemory", int)
    current_memory_unit = Attr("currentMemory@unit")
    vcpus = Text("vcpu", int)
    current_vcpus = Attr("vcpu@current", int)
    page_size = Attr("memoryBacking/hugepages/page@size", int)
    page_unit = Attr("memoryBacking/hugepages/page@unit")
    numa_mode = Attr("numatune/memory@mode")
    numa_host_nodes = Attr("numatune/memory@nodeset")
    emulator_cpus = Attr("cputune/emulatorpin@cpuset")
    os_type = Text("os/type")
    arch = Attr("os/type@arch")
    machine = Attr("os/type@machine")
    firmware = Attr("os@firmware")
    loader = Text("os/loader")
    nvram = Text("os/nvram")
    smm = Attr("features/smm@state")
    acpi = Flag("features/acpi")
    apic = Flag("features/apic")
    hyperv = Attr("features/hyperv@mode")
    hyperv_relaxed = Attr("features/hyperv/relaxed@state")
    hyperv_vapic = Attr("features/hyperv/vapic@state")
    hyperv_spinlocks = Attr("features/hyperv/spinlocks@state")
    hyperv_retries = Attr("features/hyperv/spinlocks@retries", int)
    translation_cache = Text("features/tcg/tb-cache", int)
    translation_cache_unit = Attr("features/tcg/tb-cache@unit")
    cpu_mode = Attr("cpu@mode")
    cpu_check = Attr("cpu@check")
    cpu_match = Attr("cpu@match")
    cpu_model = Text("cpu/model")
    cpu_fallback = Attr("cpu/model@fallback")
    sockets = Attr("cpu/topology@sockets", int)
    cores = Attr("cpu/topology@cores", int)
    threads = Attr("cpu/topology@threads", int)
    clock_offset = Attr("clock@offset")
    on_poweroff = Text("on_poweroff")
    on_reboot = Text("on_reboot")
    on_crash = Text("on_crash")
    suspend_to_memory = Attr("pm/suspend-to-mem@enabled")
    suspend_to_disk = Attr("pm/suspend-to-disk@enabled")

    pins = Children("cputune/vcpupin", Pin)
    timers = Children("clock/timer", Timer)
    cells = Children("cpu/numa/cell", Cell)
    memories = Children("devices/memory", Memory)
    disks = Children("devices/disk", Disk)
    interfaces = Children("devices/interface", Interface)
    hostdevs = Children("devices/hostdev", HostDev)
    graphics = Children("devices/graphics", Graphics)
    videos = Children("devices/video", Video)
    inputs = Children("devices/input", Input)
    redirections = Children("devices/redirdev", Redirection)
    smartcards = Children("devices/smartcard", Smartcard)
    controllers = Children("devices/controller", Controller)
    channels = Children("devices/channel", Channel)
    serials = Children("devices/serial", Serial)
    consoles = Children("devices/console", Console)
    rngs = Children("devices/rng", Rng)
    balloons = Children("devices/memballoon", Balloon)
    tpms = Children("devices/tpm", Tpm)
    sounds = Children("devices/sound", Sound)
    watchdogs = Children("devices/watchdog", Watchdog)
    firmware_features = Children("os/firmware/feature", Feature)

    def forget_firmware(self) -> None:
        """Drop which firmware it has, and the files that were found for it."""
        self.firmware = self.smm = None
        self._drop("os/firmware", "os/loader", "os/nvram")

    def forget_hyperv(self) -> None:
        """Drop what the guest is told of Hyper-V."""
        self._drop("features/hyperv")

    def forget_cpu(self) -> None:
        """Drop which model its processors are; how many and in what order stays."""
        for name in ("mode", "check", "match", "migratable"):
            if (cpu := self.node.find("cpu")) is not None:
                cpu.attrib.pop(name, None)
        self._drop("cpu/model", "cpu/vendor")

    def forget_each_vcpu(self) -> None:
        """Drop which of the processors are plugged in; how many stays."""
        self._drop("vcpus")

    def forget_pins(self) -> None:
        """Drop where its processors run."""
        self._drop("cputune/vcpupin")
        if (tune := self.node.find("cputune")) is not None and not len(tune):
            self.node.remove(tune)

    def forget_host_nodes(self) -> None:
        """Drop from which NUMA nodes of the host its memory comes."""
        self._drop("numatune")

    def forget_cells(self) -> None:
        """Drop which NUMA nodes its guest sees."""
        self._drop("cpu/numa")
        if (cpu := self.node.find("cpu")) is not None and not len(cpu) and not cpu.attrib:
            self.node.remove(cpu)

    def forget_pages(self) -> None:
        """Drop that its memory is in huge pages."""
        self._drop("memoryBacking/hugepages")
        if (backing := self.node.find("memoryBacking")) is not None and not len(backing):
            self.node.remove(backing)

    def forget_room(self) -> None:
        """Drop the room for more memory."""
        self._drop("maxMemory")
        self.forget_cells()

    def forget_boot(self) -> None:
        """Drop what it boots from."""
        self._drop("os/boot", "devices/*/boot")

    def _drop(self, *paths: str) -> None:
        for path in paths:
            for node in self.node.findall(path):
                node.getparent().remove(node)

    @property
    def boot_id(self) -> str:
        """The name of this run, from a live definition."""
        return self.boot or "-".join(filter(None, (str(self.node.get("id", "")), self.run)))
