"""The devices of a domain, as far as Berth speaks of them. Source: libvirt's formatdomain page."""

from collections.abc import Mapping

from lxml import etree

from broker.virt.driver import LUN_PATHS, LunPlace
from broker.virt.drivers.libvirt.domain_xml.mapping import Attr, Element, Flag, Text

_WHO = "iqn.2026-01.io.berth:"  # before the names of a storage and a volume: whom QEMU tells the target that it is


def _path_of(source: etree._Element | None) -> str | None:
    """Of a file its path; of a LUN the path of its volume, which the initiator's name holds."""
    if source is None:
        return None
    if (file := source.get("file")) is not None:
        return str(file)
    who = source.find("initiator/iqn")
    storage, _, volume = ("" if who is None else who.get("name", "")).removeprefix(_WHO).partition(":")
    return f"{LUN_PATHS}/{storage}/{volume}" if source.get("protocol") == "iscsi" and volume else None


def lun_source(path: str, place: LunPlace) -> etree._Element:
    """What QEMU is told of a LUN. The password is the host's secret to keep."""
    source = etree.Element("source", protocol="iscsi", name=f"{place.target}/{place.lun}")
    etree.SubElement(source, "host", name=place.host, port=str(place.port))
    who = path.removeprefix(f"{LUN_PATHS}/").replace("/", ":")
    etree.SubElement(etree.SubElement(source, "initiator"), "iqn", name=_WHO + who)
    if place.user:
        login = etree.SubElement(source, "auth", username=place.user)
        etree.SubElement(login, "secret", type="iscsi", usage=place.secret)
    return source


def _told(source: etree._Element | None) -> tuple[object, ...]:
    """What a definition says of a LUN."""
    if source is None:
        return ()
    host, login = source.find("host"), source.find("auth")
    where = () if host is None else (host.get("name"), host.get("port"))
    return source.get("name"), _path_of(source), where, None if login is None else login.get("username")


class Disk(Element):
    """A disk or CD drive backed by a file, or by a LUN that QEMU itself speaks to."""

    TAG = "disk"

    type = Attr("@type")
    device = Attr("@device")
    driver_name = Attr("driver@name")
    format = Attr("driver@type")
    discard = Attr("driver@discard")
    detect_zeroes = Attr("driver@detect_zeroes")
    cache = Attr("driver@cache")
    write_error = Attr("driver@error_policy")
    read_error = Attr("driver@rerror_policy")
    file = Attr("source@file")
    target = Attr("target@dev")
    bus = Attr("target@bus")
    serial = Text("serial")
    readonly = Flag("readonly")
    shareable = Flag("shareable")
    boot_order = Attr("boot@order", int)
    address = Attr("address@type")
    address_controller = Attr("address@controller", int)
    address_bus = Attr("address@bus", int)
    address_target = Attr("address@target", int)
    address_unit = Attr("address@unit", int)
    total_bytes = Text("iotune/total_bytes_sec", int)
    read_bytes = Text("iotune/read_bytes_sec", int)
    write_bytes = Text("iotune/write_bytes_sec", int)
    total_iops = Text("iotune/total_iops_sec", int)
    read_iops = Text("iotune/read_iops_sec", int)
    write_iops = Text("iotune/write_iops_sec", int)

    LIMITS = ("total_bytes", "read_bytes", "write_bytes", "total_iops", "read_iops", "write_iops")

    @property
    def path(self) -> str | None:
        return _path_of(self.node.find("source"))

    @path.setter
    def path(self, path: str | None) -> None:
        if self.type == "network":
            self._clear("file")
        self.file = path

    @property
    def mirror_path(self) -> str | None:
        return _path_of(self.node.find("mirror/source"))

    def put(self, path: str, place: LunPlace) -> None:
        """Have the volume on this LUN in it; what is there already stays as it is written."""
        wanted, present = lun_source(path, place), self.node.find("source")
        if self.type == "network" and _told(present) == _told(wanted):
            return
        self._clear("network")
        self.node.append(wanted)

    def _clear(self, kind: str) -> None:
        """Without a source, and what was known of the images below it."""
        self.type = kind
        for tag in ("source", "backingStore"):
            for node in self.node.findall(tag):
                self.node.remove(node)

    def limit(self, limits: Mapping[str, int]) -> None:
        """By the names of LIMITS; 0 lifts one. Others' bursts go with the limits that they belonged to."""
        if all((getattr(self, name) or 0) == limits[name] for name in self.LIMITS):
            return
        for node in self.node.findall("iotune"):
            self.node.remove(node)
        for name in self.LIMITS:
            setattr(self, name, limits[name] or None)

    def mirrored(self) -> bool:
        """Of a machine that runs: whether a block job has copied all of it, and it can be put over."""
        mirror = self.node.find("mirror")
        return mirror is not None and mirror.get("ready") == "yes"

    def layers(self) -> tuple[str, ...]:
        """The images from the top down, as far as the document tells."""
        paths, node = [self.path or ""], self.node.find("backingStore")
        while node is not None and (source := node.find("source")) is not None:
            paths.append(_path_of(source) or "")
            node = node.find("backingStore")
        return tuple(path for path in paths if path)

    def sit(self, bus: str) -> None:
        """On this bus; where it was on another one is forgotten."""
        if self.bus not in (None, bus):
            for node in self.node.findall("address"):
                self.node.remove(node)
        self.bus = bus

    def lay(self, path: str) -> None:
        """Put another image in, which is qcow2; what is below it is for QEMU to find."""
        self.path, self.format = path, "qcow2"
        self.forget_below()

    def forget_below(self) -> None:
        """Have QEMU read from the image what it lies on.

        libvirt writes an empty element into the definition of a machine whose disk was copied while it ran: an image
        that comes into its place and lies on another one would be opened without that, as if there were only zeroes.
        """
        for node in self.node.findall("backingStore"):
            self.node.remove(node)


class Interface(Element):
    """A network card on a libvirt network."""

    TAG = "interface"

    type = Attr("@type")
    mac = Attr("mac@address")
    network = Attr("source@network")
    model = Attr("model@type")
    link = Attr("link@state")
    inbound = Attr("bandwidth/inbound@average", int)
    outbound = Attr("bandwidth/outbound@average", int)
    filter = Attr("filterref@filter")
    boot_order = Attr("boot@order", int)

    def limit(self, inbound: int, outbound: int) -> None:
        """The most KiB a second each way; 0 lifts the limit with all that belonged to it."""
        if (inbound, outbound) == (self.inbound or 0, self.outbound or 0):
            return
        for node in self.node.findall("bandwidth"):
            self.node.remove(node)
        self.inbound, self.outbound = inbound or None, outbound or None

    def guard(self, name: str | None) -> None:
        """Put another filter in; the addresses that were learnt for the one before go with it."""
        if self.filter == name:
            return
        for node in self.node.findall("filterref"):
            self.node.remove(node)
        self.filter = name


class Memory(Element):
    """Memory plugged in."""

    TAG = "memory"

    model = Attr("@model")
    size = Text("target/size", int)
    unit = Attr("target/size@unit")
    node_id = Text("target/node", int)


class Graphics(Element):
    """A console: VNC or SPICE."""

    TAG = "graphics"

    type = Attr("@type")
    share_policy = Attr("@sharePolicy")
    autoport = Attr("@autoport")
    host = Attr("@listen")
    port = Attr("@port", int)
    tls_port = Attr("@tlsPort", int)
    listen_type = Attr("listen@type")
    socket = Attr("listen@socket")
    agent_mouse = Attr("mouse@mode")
    copypaste = Attr("clipboard@copypaste")
    filetransfer = Attr("filetransfer@enable")


class Video(Element):
    """A graphics card."""

    TAG = "video"

    model = Attr("model@type")
    heads = Attr("model@heads", int)
    memory = Attr("model@vgamem", int)


class Redirection(Element):
    """A USB port into which a client plugs a device of its own computer."""

    TAG = "redirdev"

    bus = Attr("@bus")
    type = Attr("@type")


class Smartcard(Element):
    """A card reader; with "passthrough" its cards are the client's."""

    TAG = "smartcard"

    mode = Attr("@mode")
    type = Attr("@type")


class Controller(Element):
    """What devices are plugged into; libvirt adds those that are needed."""

    TAG = "controller"

    type = Attr("@type")
    index = Attr("@index", int)
    model = Attr("@model")


class Input(Element):
    """A keyboard or pointer."""

    TAG = "input"

    type = Attr("@type")
    bus = Attr("@bus")

    def sit(self, bus: str) -> None:
        """On this bus; where it was on another one is forgotten."""
        if self.bus not in (None, bus):
            for node in self.node.findall("address"):
                self.node.remove(node)
        self.bus = bus


class Channel(Element):
    """A channel between host and guest over virtio-serial."""

    TAG = "channel"

    type = Attr("@type")
    clipboard = Attr("source/clipboard@copypaste")
    mouse = Attr("source/mouse@mode")
    target_type = Attr("target@type")
    name = Attr("target@name")
    state = Attr("target@state")


class Serial(Element):
    """A serial port."""

    TAG = "serial"

    type = Attr("@type")
    port = Attr("target@port", int)


class Console(Element):
    """What `virsh console` opens: here the first serial port."""

    TAG = "console"

    type = Attr("@type")
    target_type = Attr("target@type")
    port = Attr("target@port", int)


class Rng(Element):
    """A source of randomness for the guest."""

    TAG = "rng"

    model = Attr("@model")
    backend_model = Attr("backend@model")
    backend = Text("backend")


class Balloon(Element):
    """The memory balloon, which also tells what the guest uses. `period`: seconds between two reports."""

    TAG = "memballoon"

    model = Attr("@model")
    period = Attr("stats@period", int)


class Tpm(Element):
    """A TPM; its emulator keeps what it knows on the host."""

    TAG = "tpm"

    model = Attr("@model")
    backend = Attr("backend@type")
    version = Attr("backend@version")


class Sound(Element):
    """A sound card."""

    TAG = "sound"

    model = Attr("@model")


class Watchdog(Element):
    """A timer the guest feeds; `action` is done when it does not."""

    TAG = "watchdog"

    model = Attr("@model")
    action = Attr("@action")


class HostDev(Element):
    """A device of the host that the guest has for its own."""

    TAG = "hostdev"

    mode = Attr("@mode")
    type = Attr("@type")
    managed = Attr("@managed")
    domain = Attr("source/address@domain")
    bus = Attr("source/address@bus")
    slot = Attr("source/address@slot")
    function = Attr("source/address@function")
    vendor = Attr("source/vendor@id")
    product = Attr("source/product@id")

    @property
    def key(self) -> str:
        """As of a DeviceSpec; empty for a device of another kind."""
        if self.type == "pci":
            numbers = (int(one or "0", 16) for one in (self.domain, self.bus, self.slot, self.function))
            return "pci-{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)
        if self.type == "usb" and self.vendor and self.product:
            return f"usb-{self.vendor.removeprefix('0x')}:{self.product.removeprefix('0x')}"
        return ""
