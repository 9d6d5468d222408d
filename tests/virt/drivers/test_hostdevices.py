"""What libvirt's list of a host's devices is read as; and that of the machine the tests run on."""

import os
from pathlib import Path

import pytest

from broker.virt.drivers.libvirt.hostdevices import devices_in

PCI = """<device><name>pci_{n}</name><path>/sys/devices/pci0000:00/0000:{n}</path><driver><name>{driver}</name></driver>
<capability type='pci'><class>0x{kind}</class><domain>0</domain><bus>{bus}</bus><slot>{slot}</slot>
<function>0</function>
<product id='0x1eb8'>Card</product><vendor id='0x10DE'>Maker</vendor>{group}</capability></device>"""
GROUP = "<iommuGroup number='{0}'><address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/></iommuGroup>"
BELOW = """<device><name>x</name><path>/sys/devices/pci0000:00/0000:{n}/{rest}</path>
<capability type='{kind}'>{words}</capability></device>"""
REMOVABLE = "<capability type='removable'><media_available>1</media_available></capability>"
NET = "<interface>eth</interface><address>52:54:00:00:00:01</address><link state='{0}'/>"
USB = """<device><name>usb_{n}</name><path>/sys/devices/pci0000:00/0000:00:14.0/usb1/{n}</path>
<capability type='usb_device'><bus>1</bus><device>{n}</device><product id='{product}'>{title}</product>
<vendor id='{vendor}'>Maker</vendor></capability></device>"""


def pci(n, bus, slot, *, kind="030000", driver="x", group=5):
    return PCI.format(n=n, bus=bus, slot=slot, kind=kind, driver=driver, group=GROUP.format(group) if group else "")


def found(*texts):
    return {one.spec.key: one for one in devices_in(texts)}


def test_a_free_card_is_read_with_its_group():
    one = found(pci("01:00.0", 1, 0, driver="nouveau"))["pci-0000:01:00.0"]
    assert (one.title, one.driver, one.group, one.unfit) == ("Maker Card", "nouveau", 5, "")
    assert (one.spec.vendor, one.spec.product) == ("10de", "1eb8")


@pytest.mark.parametrize(
    ("unfit", "below"),
    [
        ("disk", ("virtio1/block/vda", "storage", "<block>/dev/vda</block>")),
        ("disk", ("nvme/nvme0/nvme0n1", "storage", "<block>/dev/nvme0n1</block>")),
        ("", ("ata1/host0/block/sr0", "storage", REMOVABLE)),
        ("network", ("net/eth0", "net", NET.format("up"))),
        ("", ("net/eth1", "net", NET.format("down"))),
    ],
)  # fmt: skip
def test_what_the_host_needs_is_told_by_what_hangs_on_it(unfit, below):
    rest, kind, words = below
    text = BELOW.format(n="02:00.0", rest=rest, kind=kind, words=words)
    read = found(pci("02:00.0", 2, 0), pci("03:00.0", 3, 0), text)
    assert read["pci-0000:02:00.0"].unfit == unfit and read["pci-0000:03:00.0"].unfit == ""


def test_bridges_hubs_twins_and_hosts_without_an_iommu():
    read = found(
        pci("00:00.0", 0, 0, kind="060000"), pci("04:00.0", 4, 0, group=None),
        USB.format(n="1-0", vendor="0x1d6b", product="0x0002", title="xHCI Host Controller"),
        USB.format(n="1-1", vendor="0x05e3", product="0x0608", title="USB2.0 Hub"),
        USB.format(n="1-2", vendor="0x096e", product="0x0858", title="Key"),
        USB.format(n="1-3", vendor="0x1050", product="0x0407", title="Twin"),
        USB.format(n="1-4", vendor="0x1050", product="0x0407", title="Twin"),
    )  # fmt: skip
    assert {key: one.unfit for key, one in read.items()} == {
        "pci-0000:00:00.0": "bridge", "pci-0000:04:00.0": "iommu", "usb-1d6b:0002": "hub", "usb-05e3:0608": "hub",
        "usb-096e:0858": "", "usb-1050:0407": "alike",
    }  # fmt: skip


@pytest.mark.lab
def test_this_machines_own_list_agrees_with_its_kernel(connection):
    """libvirt's list against /sys: each PCI device with its group, and what carries a disk is not for machines."""
    read = {one.spec.address: one for one in connection.host_devices() if one.spec.kind == "pci"}
    there = {path.name: path for path in Path("/sys/bus/pci/devices").iterdir()}
    assert set(read) == set(there)
    for address, path in there.items():
        group = path / "iommu_group"
        assert read[address].group == (int(os.readlink(group).rpartition("/")[2]) if group.exists() else None)
    carriers = {
        part for disk in Path("/sys/block").iterdir() for part in os.path.realpath(disk).split("/") if part in there
    }
    assert all(read[address].unfit in ("disk", "bridge") for address in carriers)
