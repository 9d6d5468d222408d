"""The description of a machine in an OVA: an OVF 1.1 envelope, as pure data to XML.

Layout: DMTF DSP0243 for the envelope; resource types are those of CIM_ResourceAllocationSettingData; within an item
the elements stand in alphabetical order, as its schema has them. What OVF has no word for, the firmware, is said in
VMware's extension, which is marked as one that need not be understood.

Disks hang on a SATA controller and cards are Intel's: each program and guest knows these, and virtio not each does.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

OVF = "http://schemas.dmtf.org/ovf/envelope/1"
RASD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
VSSD = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
VMW = "http://www.vmware.com/schema/ovf"
STREAM_OPTIMIZED = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"
_PROCESSORS, _MEMORY, _CARD, _DISK, _SATA = 3, 4, 10, 17, 20
_CONTROLLER = 3  # its InstanceID: the processors have 1, the memory 2, and what follows counts on
_WINDOWS, _OTHER = "103", "102"  # of CIM_OperatingSystem: Windows Server 2008 R2, and anything else of 64 bits


@dataclass(frozen=True, slots=True)
class DescribedDisk:
    """`file`: its member in the tar, of `size` bytes; `capacity`: the bytes a guest sees."""

    file: str
    size: int
    capacity: int


@dataclass(frozen=True, slots=True)
class DescribedMachine:
    """`networks`: of each card in turn. `firmware`: "bios", "uefi" or "secure". `windows`: made for it."""

    name: str
    description: str
    vcpus: int
    memory_mib: int
    firmware: str
    windows: bool
    networks: Sequence[str]


def described(machine: DescribedMachine, disks: Sequence[DescribedDisk]) -> bytes:
    """The XML, in UTF-8. Characters that XML cannot hold are left out."""
    root = etree.Element(f"{{{OVF}}}Envelope", nsmap={None: OVF, "ovf": OVF, "rasd": RASD, "vssd": VSSD, "vmw": VMW})
    references = _add(root, "References")
    for number, disk in enumerate(disks, 1):
        _add(references, "File", id=f"file{number}", href=disk.file, size=disk.size)
    section = _section(root, "DiskSection", "Virtual disks")
    for number, disk in enumerate(disks, 1):
        _add(
            section, "Disk", diskId=f"disk{number}", fileRef=f"file{number}", capacity=disk.capacity,
            capacityAllocationUnits="byte", format=STREAM_OPTIMIZED,
        )  # fmt: skip
    section = _section(root, "NetworkSection", "Networks")
    for name in dict.fromkeys(machine.networks):
        _add(_add(section, "Network", name=name), "Description", name)
    _system(root, machine, disks)
    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", pretty_print=True))


def _system(root: Any, machine: DescribedMachine, disks: Sequence[DescribedDisk]) -> None:
    system = _section(root, "VirtualSystem", "A virtual machine", id=machine.name)
    _add(system, "Name", machine.name)
    if machine.description:
        _add(_section(system, "AnnotationSection", "Notes"), "Annotation", machine.description)
    _section(system, "OperatingSystemSection", "Guest", id=_WINDOWS if machine.windows else _OTHER)
    hardware = _section(system, "VirtualHardwareSection", "Virtual hardware")
    told = _add(hardware, "System")
    for name, text in (
        ("ElementName", "Virtual hardware family"), ("InstanceID", "0"),
        ("VirtualSystemIdentifier", machine.name), ("VirtualSystemType", "vmx-13"),
    ):  # fmt: skip
        _plain(told, VSSD, name, text)
    count, mib = machine.vcpus, machine.memory_mib
    _item(hardware, _PROCESSORS, 1, f"{count} processors", AllocationUnits="hertz * 10^6", VirtualQuantity=count)
    _item(hardware, _MEMORY, 2, f"{mib} MiB of memory", AllocationUnits="byte * 2^20", VirtualQuantity=mib)
    _item(hardware, _SATA, _CONTROLLER, "SATA controller", Address=0, ResourceSubType="vmware.sata.ahci")
    for place in range(len(disks)):
        _item(
            hardware, _DISK, _CONTROLLER + 1 + place, f"Disk {place + 1}", AddressOnParent=place, Parent=_CONTROLLER,
            HostResource=f"ovf:/disk/disk{place + 1}",
        )  # fmt: skip
    for place, network in enumerate(machine.networks):
        _item(
            hardware, _CARD, _CONTROLLER + 1 + len(disks) + place, f"Network card {place + 1}", AddressOnParent=place,
            AutomaticAllocation="true", Connection=network, ResourceSubType="E1000",
        )  # fmt: skip
    if machine.firmware in ("uefi", "secure"):
        _setting(hardware, "firmware", "efi")
    if machine.firmware == "secure":
        _setting(hardware, "bootOptions.efiSecureBootEnabled", "true")


def _item(hardware: Any, kind: int, number: int, name: str, **told: object) -> None:
    item = _add(hardware, "Item")
    for key, value in sorted((told | {"ElementName": name, "InstanceID": number, "ResourceType": kind}).items()):
        _plain(item, RASD, key, str(value))


def _setting(hardware: Any, key: str, value: str) -> None:
    config = etree.SubElement(hardware, f"{{{VMW}}}Config")
    for name, text in ((f"{{{OVF}}}required", "false"), (f"{{{VMW}}}key", key), (f"{{{VMW}}}value", value)):
        config.set(name, text)


def _section(above: Any, tag: str, info: str, **attributes: object) -> Any:
    section = _add(above, tag, "", **attributes)
    _add(section, "Info", info)
    return section


def _add(above: Any, tag: str, text: str = "", **attributes: object) -> Any:
    element = _plain(above, OVF, tag, text)
    for key, value in attributes.items():
        element.set(f"{{{OVF}}}{key}", _clean(str(value)))
    return element


def _plain(above: Any, space: str, tag: str, text: str) -> Any:
    element = etree.SubElement(above, f"{{{space}}}{tag}")
    element.text = _clean(text) or None
    return element


def _clean(text: str) -> str:
    """Without what XML 1.0 has no way to write."""
    return "".join(
        sign for sign in text
        if sign in "\t\n\r" or " " <= sign <= "\ud7ff" or "\ue000" <= sign <= "\ufffd" or sign > "\uffff"
    )  # fmt: skip
