"""The host's own devices: which there are, what the host needs, and giving them to machines.

What the host needs is told by what libvirt lists below a device in the tree of /sys: a disk or a network card in use.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import libvirt
from lxml import etree

from broker.core.text import gettext_noop
from broker.virt.driver import DeviceSpec, HostDevice, Refused
from broker.virt.drivers.libvirt.changing import Changing
from broker.virt.drivers.libvirt.domain_xml.build import device_element
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
_BRIDGES = range(0x06, 0x07)  # of PCI classes
_HUBS = ("0x1d6b",)  # the vendor of root hubs, which are the kernel itself
_LISTED = (
    libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_USB_DEV
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_NET
    | libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_STORAGE
)


@dataclass(frozen=True, slots=True)
class Node:
    """One entry of the host's list."""

    path: str
    kind: str
    node: etree._Element

    def text(self, path: str) -> str:
        return str(self.node.findtext(path, "") or "")

    def word(self, path: str, attribute: str) -> str:
        found = self.node.find(path)
        return "" if found is None else str(found.get(attribute, ""))


class Lending(Changing):
    """The devices of a host."""

    def host_devices(self) -> tuple[HostDevice, ...]:
        with self.calling():
            try:
                listed = self.connection.listAllDevices(_LISTED)
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
                    raise
                return ()  # a libvirtd without its driver for them
            texts = []
            for device in listed:
                try:
                    texts.append(device.XMLDesc(0))
                except libvirt.libvirtError as error:
                    if error.get_error_code() != libvirt.VIR_ERR_NO_NODE_DEVICE:
                        raise  # else it was pulled out since it was listed
            return devices_in(texts)

    def attach_device(self, uuid: str, device: DeviceSpec) -> None:
        with self.calling():
            domain, machine = self._run_of(uuid)
            if any(one.key == device.key for one in machine.hostdevs):
                return
            if device.kind == "pci":
                raise Refused(
                    gettext_noop("A PCI device comes with a machine's start."), fix=gettext_noop("Start it anew.")
                )
            try:
                self._try(domain.attachDeviceFlags, device_element(device).xml())
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_SYSTEM_ERROR:
                    raise
                raise Refused(  # a host without any USB
                    gettext_noop("The host said: %(reason)s."), fix=gettext_noop("Look whether it is plugged in."),
                    reason=error.get_error_message() or str(error),
                ) from error  # fmt: skip

    def detach_device(self, uuid: str, device: DeviceSpec) -> bool:
        with self.calling():
            domain, machine = self._run_of(uuid)
            found = next((one for one in machine.hostdevs if one.key == device.key), None)
            if found is None:
                return True
            try:
                domain.detachDeviceFlags(found.xml(), _LIVE)
            except libvirt.libvirtError as error:
                # asked for already, and the guest takes its time; or it went between the look and the call
                if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_DEVICE_MISSING):
                    raise
            return all(one.key != device.key for one in Machine.parse(domain.XMLDesc()).hostdevs)


def devices_in(texts: Iterable[str]) -> tuple[HostDevice, ...]:
    """What the host's own list of its devices says, one document each."""
    nodes = [_node(text) for text in texts]
    used = {one.path: unfit for one in nodes if (unfit := _use_of(one))}
    found = [_pci(one, used) if one.kind == "pci" else _usb(one, used) for one in nodes if one.kind in ("pci", "usb")]
    alike = Counter(one.spec.key for one in found)
    once = {one.spec.key: replace(one, unfit="alike") if alike[one.spec.key] > 1 else one for one in found}
    return tuple(once[key] for key in sorted(once))


def _node(text: str) -> Node:
    node = etree.fromstring(text, PARSER)
    kinds = {"pci": "pci", "usb_device": "usb", "net": "net", "storage": "storage"}
    capability = node.find("capability")
    return Node(
        node.findtext("path", ""), kinds.get("" if capability is None else capability.get("type", ""), ""), node
    )  # fmt: skip


def _use_of(node: Node) -> str:
    """Why the host needs what this entry hangs on. Not what libvirt calls removable: discs, cards in a reader."""
    if node.kind == "net" and node.text("capability/address") and node.word("capability/link", "state") == "up":
        return "network"
    removable = node.node.find("capability/capability[@type='removable']") is not None
    return "disk" if node.kind == "storage" and not removable else ""


def _below(path: str, used: Mapping[str, str]) -> str:
    return next((unfit for one, unfit in sorted(used.items()) if one.startswith(f"{path}/")), "")


def _pci(node: Node, used: Mapping[str, str]) -> HostDevice:
    numbers = (int(node.text(f"capability/{name}") or 0) for name in ("domain", "bus", "slot", "function"))
    address = "{:04x}:{:02x}:{:02x}.{:x}".format(*numbers)
    group = node.word("capability/iommuGroup", "number")
    kind = int(node.text("capability/class") or "0", 16) >> 16
    unfit = "bridge" if kind in _BRIDGES else _below(node.path, used) or ("" if group else "iommu")
    return HostDevice(
        spec=DeviceSpec("pci", address=address, vendor=_digits(node, "vendor"), product=_digits(node, "product")),
        title=_title(node), driver=node.text("driver/name"), group=int(group) if group else None, unfit=unfit,
    )  # fmt: skip


def _usb(node: Node, used: Mapping[str, str]) -> HostDevice:
    hub = node.word("capability/vendor", "id") in _HUBS or "hub" in node.text("capability/product").lower()
    return HostDevice(
        spec=DeviceSpec("usb", vendor=_digits(node, "vendor"), product=_digits(node, "product")), title=_title(node),
        driver=node.text("driver/name"), unfit="hub" if hub else _below(node.path, used),
    )  # fmt: skip


def _digits(node: Node, name: str) -> str:
    return node.word(f"capability/{name}", "id").removeprefix("0x").lower()


def _title(node: Node) -> str:
    words = (node.text(f"capability/{name}") or node.word(f"capability/{name}", "id") for name in ("vendor", "product"))
    return " ".join(filter(None, (word.strip() for word in words)))
