"""Domain XML: golden files, each result defined on libvirt's own test driver, every property in use.

`tests/data/domain_xml/<case>-in.xml` is a definition as somebody left it, `<case>-out.xml` what it must look
like after `apply` (or, without an "-in", after `fresh`). After a wanted change of the output run this file
with BERTH_WRITE_GOLDEN=1 and read the difference before committing it.
"""

import os
from dataclasses import replace
from pathlib import Path

import libvirt
import pytest
from lxml import etree

from broker.virt.driver import DeviceSpec, DiskLimits, DiskSpec, Hardware, MachineSpec, NicSpec, ScreenParts
from broker.virt.drivers.libvirt.domain_xml import devices
from broker.virt.drivers.libvirt.domain_xml.build import apply, fresh
from broker.virt.drivers.libvirt.domain_xml.machine import Machine, Timer
from broker.virt.drivers.libvirt.domain_xml.mapping import Attr, Children, Element, Flag, Text
from broker.virt.drivers.libvirt.observe import endpoints

DATA = Path(__file__).resolve().parents[2] / "data" / "domain_xml"

SPEC = MachineSpec(
    uuid="6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e01",
    name="desk-01",
    title="Alice’s <desk> & “chair”",
    vcpus=2,
    memory_mib=2048,
    disks=(DiskSpec(path="/srv/disks/desk-01.qcow2", format="qcow2", target="vda", serial="d-1"),),
    nics=(NicSpec(mac="52:54:00:aa:bb:01", network="lan"),),
    mark="1f0c",
)
CD = DiskSpec(path="/srv/iso/tools.iso", format="raw", target="sda", bus="sata", device="cdrom", readonly=True)

FRESH = {
    "fresh-emulated": (SPEC, True),
    "fresh-kvm": (SPEC, False),
    "fresh-spice": (replace(SPEC, graphics=("vnc", "spice"), disks=(*SPEC.disks, CD)), False),
    "fresh-bare": (
        MachineSpec(
            uuid=SPEC.uuid, name="bare", vcpus=1, memory_mib=64, disks=(), graphics=(), clipboard=False, serial=False,
            agent=False, machine="pc", video="vga",
        ),
        True,
    ),
}  # fmt: skip
CHOSEN = Hardware(
    firmware="secure", tpm=True, cpu="Nehalem", sockets=1, cores=2, threads=1, balloon_mib=1024, video="vga",
    sound=True, rng=True, watchdog="poweroff", boot="network-disk",
)  # fmt: skip
ONE_BY_ONE: dict[str, object] = {
    "firmware": "uefi", "tpm": True, "cpu": "maximum", "cores": 2, "max_vcpus": 4, "max_memory_mib": 4096,
    "cpu_pinning": "0#0-1,4_1#2", "emulator_cpus": "0,5", "hugepages_kib": 2048, "numa_nodes": 2,
    "balloon_mib": 512, "video": "qxl", "heads": 3, "sound": True,
    "rng": False, "watchdog": "pause", "boot": "disk-network", "system": "windows",
}  # fmt: skip
FRESH |= {
    "fresh-chosen": (replace(SPEC, hardware=CHOSEN), False),
    **{
        f"hardware-{name}": (replace(SPEC, hardware=Hardware(**{name: value})), False)
        for name, value in ONE_BY_ONE.items()
    },
    # a card that may only be itself, with its cable out and limits
    "fresh-held-card": (
        replace(
            SPEC,
            nics=(
                replace(SPEC.nics[0], guard="addresses", connected=False, in_kib=1000, out_kib=500),
                replace(SPEC.nics[0], mac="52:54:00:aa:bb:02", guard="mac", model="e1000e"),
            ),
        ),
        False,
    ),
}
FRESH |= {
    # 3 processors, or room for 5, and 515 MiB in two shares; pages of 1 GiB are not torn
    "fresh-numa": (
        replace(
            SPEC, vcpus=3, memory_mib=515,
            hardware=Hardware(numa_mode="strict", numa_host_nodes="0-1", numa_nodes=2, max_vcpus=5, max_memory_mib=999),
        ),
        False,
    ),
    "fresh-numa-pages": (
        replace(SPEC, memory_mib=3072, hardware=Hardware(numa_nodes=2, hugepages_kib=1048576, max_memory_mib=0)), False,
    ),
}  # fmt: skip
BOTH = replace(SPEC, graphics=("vnc", "spice"))
FRESH |= {
    "fresh-client-devices": (replace(BOTH, screen=ScreenParts(usb=2, smartcard=True)), False),
    "fresh-sealed-screen": (replace(BOTH, screen=ScreenParts(clipboard=False, files=False)), False),
    "fresh-several-monitors": (replace(BOTH, hardware=Hardware(video="qxl", heads=4)), False),
    # without SPICE there is nobody who could plug something in
    "fresh-no-client": (replace(SPEC, screen=ScreenParts(usb=2, smartcard=True, clipboard=False)), False),
}
FRESH["fresh-limited-disk"] = (
    replace(SPEC, disks=(replace(SPEC.disks[0], limits=DiskLimits(total_bytes=10 << 20, read_iops=300)), CD)), False,
)  # fmt: skip
FRESH["fresh-shared-disks"] = (
    replace(
        SPEC,
        disks=(
            replace(SPEC.disks[0], readonly=True, discard="ignore", detect_zeroes="on"),
            DiskSpec(path="/srv/disks/all.raw", format="raw", target="vdb", shareable=True),
            DiskSpec(path="/srv/disks/look.raw", format="raw", target="vdc", shareable=True, readonly=True),
        ),
    ),
    False,
)  # fmt: skip
FRESH["fresh-disk-errors"] = (
    replace(
        SPEC,
        disks=(
            replace(SPEC.disks[0], on_error="stop"),
            DiskSpec(path="/srv/disks/told.qcow2", format="qcow2", target="vdb", on_error="report"),
        ),
    ),
    False,
)  # fmt: skip
SATA = tuple(
    DiskSpec(path=f"/srv/disks/{letter}.qcow2", format="qcow2", target=f"vd{letter}", bus="sata") for letter in "ag"
)  # fmt: skip
FRESH["fresh-sata-disks"] = (replace(SPEC, disks=(*SATA, CD)), True)
FRESH["fresh-scsi-disks"] = (
    replace(SPEC, disks=(*(replace(disk, bus="scsi") for disk in SATA), replace(SATA[0], bus="scsi", target="vdp"))),
    True,
)  # fmt: skip
FRESH["fresh-windows-emulated"] = (replace(SPEC, hardware=Hardware(system="windows")), True)
PCI, USB = DeviceSpec("pci", "0000:01:00.0", "10de", "1eb8"), DeviceSpec("usb", "", "096e", "0858")
FRESH["fresh-devices"] = (replace(SPEC, devices=(PCI, USB)), False)
APPLIED = {
    # one of ours goes and another one comes; what somebody else gave to it stays, and is not given twice
    "other-devices": replace(SPEC, devices=(PCI, DeviceSpec("usb", "", "1050", "0407"))),
    # where a shared disk was comes one of the machine's own; one that somebody else shares stays
    "shared-no-more": replace(
        SPEC,
        disks=(
            replace(SPEC.disks[0], discard="unmap", detect_zeroes="off"),
            DiskSpec(path="/srv/disks/own.qcow2", format="qcow2", target="vdc", serial="own"),
        ),
    ),
    # limits of ours and of somebody else's: one disk is freed of them, the other one keeps what nobody speaks of
    "unlimited": replace(
        SPEC,
        disks=(
            replace(SPEC.disks[0], limits=DiskLimits()),
            DiskSpec(path="/srv/disks/more.qcow2", format="qcow2", target="vdb"),
        ),
    ),
    # qemu:commandline, other people's metadata, aliases, addresses, a comment and devices we know nothing of
    "edited-by-hand": replace(SPEC, memory_mib=4096, vcpus=4, title=""),
    # a disk and a card of ours leave, those that somebody else put in stay; VNC gives way to SPICE
    "shrunk": replace(SPEC, nics=(), graphics=("spice",), video="qxl"),
    # screens on ports go to sockets; one on a socket stays, and so does what somebody chose beside the port
    "secluded": replace(BOTH, hardware=Hardware(private_screens=True)),
    # disks of ours go from SATA to virtio or back, and lose their places; a machine is for Windows no more
    "other-bus": replace(
        SPEC,
        disks=(SPEC.disks[0], replace(SPEC.disks[0], path="/srv/disks/b.qcow2", target="vdb", bus="sata", serial="b")),
        hardware=Hardware(system="other"),
    ),
    "for-windows": replace(SPEC, hardware=Hardware(system="windows")),
    "without-clipboard": replace(SPEC, clipboard=False),
    "nothing-to-do": SPEC,
    # room for more of both on a definition that has some already, and none any more
    "grown": replace(SPEC, vcpus=3, memory_mib=2560, hardware=Hardware(max_vcpus=8, max_memory_mib=8192)),
    "without-room": replace(SPEC, hardware=Hardware(max_vcpus=0, max_memory_mib=0)),
    # ports of ours come and go, somebody else's stays, and so does a reader; text and files may pass again
    "client-devices": replace(BOTH, screen=ScreenParts(usb=1)),
    # a definition that denies itself USB is not made one that does not start
    "no-usb": replace(BOTH, screen=ScreenParts(usb=2, smartcard=True)),
    # a held card is let go of
    "card-let-go": SPEC,
    # all that can be chosen, on what somebody else chose before; and all of it taken back
    "chosen": replace(SPEC, hardware=CHOSEN),
    "unchosen": replace(
        SPEC,
        hardware=Hardware(
            firmware="bios",
            tpm=False,
            cpu="host-model",
            sockets=2,
            cores=1,
            threads=1,
            sound=False,
            rng=False,
            watchdog="none",
            boot="disk",
        ),
    ),
}


def golden(name: str, made: str) -> None:
    path = DATA / f"{name}.xml"
    if os.environ.get("BERTH_WRITE_GOLDEN"):
        path.write_text(made + "\n")
    assert made + "\n" == path.read_text()


@pytest.mark.parametrize("case", FRESH)
def test_fresh(case):
    spec, emulated = FRESH[case]
    golden(f"{case}-out", fresh(spec, emulated=emulated).xml())


@pytest.mark.parametrize("case", APPLIED)
def test_applied(case):
    machine = Machine.parse((DATA / f"{case}-in.xml").read_text())
    apply(APPLIED[case], machine)
    golden(f"{case}-out", machine.xml())


@pytest.mark.parametrize("case", APPLIED)
def test_applying_twice_changes_nothing(case):
    machine = Machine.parse((DATA / f"{case}-out.xml").read_text())
    before = machine.xml()
    apply(APPLIED[case], machine)
    assert machine.xml() == before


def test_what_we_do_not_know_survives():
    """Every element and attribute of the hand-made definition that no spec speaks of is still there."""
    machine = Machine.parse((DATA / "edited-by-hand-in.xml").read_text())
    apply(APPLIED["edited-by-hand"], machine)
    text = machine.xml()
    for foreign in ("qemu:commandline", "-fw_cfg", "somebody:note", "ua-disk", "hostdev", "watchdog", "<!--", "vdb"):
        assert foreign in text


@pytest.mark.parametrize("path", sorted(DATA.glob("*-out.xml")), ids=lambda path: path.stem)
def test_libvirt_accepts_it(path):
    """The test driver knows one kind of domain only, so the kind is exchanged before."""
    root = etree.fromstring(path.read_text())
    root.set("type", "test")
    connection = libvirt.open("test:///default")
    try:
        domain = connection.defineXML(etree.tostring(root, encoding="unicode"))
        assert domain.name() == root.findtext("name")
        again = Machine.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        assert again.mark == Machine(root).mark
        # libvirt sorts those of one bus
        assert {disk.path for disk in again.disks} == {disk.path for disk in Machine(root).disks}
        assert len(again.disks) == len(Machine(root).disks)
        domain.undefine()
    finally:
        connection.close()


CLASSES = [
    cls
    for module in (devices, Machine, Timer)
    for cls in ([module] if isinstance(module, type) else vars(module).values())
    if isinstance(cls, type) and issubclass(cls, Element) and cls is not Element
]
VALUES = [(cls, name) for cls in CLASSES for name, found in vars(cls).items() if isinstance(found, Attr | Text | Flag)]
LISTS = [(cls, name) for cls in CLASSES for name, found in vars(cls).items() if isinstance(found, Children)]


def unsaid(value: object) -> bool:
    return value is None or value is False


def everything(cls: type[Element], name: str) -> tuple[Machine, Element]:
    """The golden file that says everything, and in it the first element of `cls` that says `name`."""
    machine = Machine.parse((DATA / "everything-in.xml").read_text())
    found = [machine] if cls is Machine else [cls(node) for node in machine.node.iter(cls.TAG)]
    return machine, next(element for element in found if not unsaid(getattr(element, name)))


@pytest.mark.parametrize(("cls", "name"), VALUES, ids=lambda value: getattr(value, "__name__", value))
def test_every_property_reads_writes_and_removes(cls, name):
    machine, element = everything(cls, name)
    before, value = machine.xml(), getattr(element, name)
    setattr(element, name, value)
    assert machine.xml() == before, "writing what is there changes nothing"
    setattr(element, name, False if value is True else None)
    assert unsaid(getattr(element, name))
    setattr(element, name, value)
    assert getattr(element, name) == value


@pytest.mark.parametrize(("cls", "name"), LISTS, ids=lambda value: getattr(value, "__name__", value))
def test_every_list_adds_and_removes(cls, name):
    _, element = everything(cls, name)
    items = getattr(element, name)
    before = len(items)
    added = items.add(getattr(cls, name).kind.new())
    assert len(items) == before + 1
    assert list(items)[-1].node is added.node
    items.remove(added)
    assert len(items) == before > 0


def test_removing_takes_empty_parents_along():
    machine = Machine.new(translation_cache=1)
    machine.translation_cache = None
    assert len(machine.node) == 0


def test_the_layers_of_a_disk_are_read_and_replaced():
    text = (
        "<disk><source file='/a/3'/><backingStore type='file'><source file='/a/2'/><backingStore type='file'>"
        "<source file='/a/1'/><backingStore/></backingStore></backingStore><mirror ready='yes'/></disk>"
    )
    disk = devices.Disk.parse(text)
    assert disk.layers() == ("/a/3", "/a/2", "/a/1")
    assert disk.mirrored()
    disk.lay("/a/4")
    assert disk.layers() == ("/a/4",)
    assert not devices.Disk.parse("<disk><mirror/></disk>").mirrored()
    assert not devices.Disk.parse("<disk/>").mirrored()


def test_an_image_that_comes_into_the_place_of_a_copied_one_keeps_what_it_lies_on():
    """After a copy of a running disk libvirt's definition says that nothing lies below it."""
    machine = fresh(SPEC, emulated=False)
    machine.disks.first().node.append(etree.Element("backingStore"))
    overlay = replace(SPEC.disks[0], path="/srv/disks/overlay.qcow2")
    apply(replace(SPEC, disks=(overlay,)), machine)
    assert machine.disks.first().node.find("backingStore") is None


def test_entities_are_not_resolved():
    text = '<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]><domain><name>&x;</name></domain>'
    assert "root:" not in Machine.parse(text).xml()


@pytest.mark.parametrize("text", ["", "<domain>", "<network/>", "json"])
def test_another_document_is_refused(text):
    with pytest.raises(ValueError):
        Machine.parse(text)


def test_endpoints_of_a_live_definition():
    machine = Machine.parse((DATA / "everything-in.xml").read_text())
    told = [(one.kind, one.unix, one.host, one.port, one.tls) for one in endpoints(machine)]
    assert told == [
        ("vnc", "/var/lib/libvirt/qemu/domain-7-all/vnc.sock", "", 0, False),
        ("spice", "", "192.0.2.7", 5901, True),
        ("vnc", "", "192.0.2.7", 5902, False),
    ]
