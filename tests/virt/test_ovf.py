"""Descriptions and tars that Berth writes: read again by its own importer, by Python's tarfile and by qemu-img."""

import hashlib
import subprocess
import tarfile

import pytest
from lxml import etree

from broker.core.errors import Invalid
from broker.virt import image_formats, ova, ova_pack, ovf

NASTY = "a<b>&\"'\x00\x1b\ud800ü]]>"
MACHINE = ovf.DescribedMachine(
    name="desk-1", description="", vcpus=2, memory_mib=3072, firmware="bios", windows=False, networks=("lan", "lan")
)


@pytest.fixture(autouse=True)
def here(settings, tmp_path):
    settings.DATA_DIR = tmp_path


@pytest.fixture
def disks(tmp_path):
    """Two qcow2 files of different contents and sizes, the second of no whole number of VMDK's grains."""
    found = []
    for number, size in enumerate((3 << 20, (1 << 20) + 512)):
        path = tmp_path / f"{number}.qcow2"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, str(size)], check=True)
        write = f"write -q -P {number + 7} 64k 128k"
        subprocess.run(["qemu-io", "-f", "qcow2", "-c", write, path], check=True, capture_output=True)
        found.append(path)
    return found


def written(**words):
    machine = ovf.DescribedMachine(**{**{name: getattr(MACHINE, name) for name in MACHINE.__slots__}, **words})
    return ovf.described(machine, [ovf.DescribedDisk("a-disk1.vmdk", 10, 3 << 20)])


def packed(folder, disks):
    files, told = [], []
    for number, disk in enumerate(disks, 1):
        path, member = folder / f"{number}.vmdk", f"desk-1-disk{number}.vmdk"
        capacity = ova_pack.to_vmdk(disk, path, member, lambda share: None)
        files.append((member, path))
        told.append(ovf.DescribedDisk(member, path.stat().st_size, capacity))
    shares = []
    sha256 = ova_pack.pack(folder / "made.ova", "desk-1", ovf.described(MACHINE, told), files, shares.append)
    assert shares == sorted(shares) and shares[-1] == pytest.approx(1.0)
    assert sha256 == hashlib.sha256((folder / "made.ova").read_bytes()).hexdigest()
    return folder / "made.ova"


def test_what_is_packed_is_imported_again_byte_for_byte(tmp_path, disks):
    path = packed(tmp_path, disks)
    assert ova.is_one(path) and path.stat().st_mode & 0o077 == 0
    for number, disk in enumerate(disks):
        inner = tmp_path / "inner"
        told = ova.take_disk(path, inner, lambda share: None, number=number)
        assert told == {"vcpus": 2, "memory_mib": 3072, "cards": 2, "disks": 2}
        assert image_formats.look(inner, "disk").capacity == (3 << 20, (1 << 20) + 512)[number]
        subprocess.run(["qemu-img", "compare", "-f", "qcow2", "-F", "vmdk", disk, inner], check=True)
        assert f'SPARSE "desk-1-disk{number + 1}.vmdk"'.encode() in inner.read_bytes()[:65536]


def test_the_description_is_first_and_the_manifest_is_right(tmp_path, disks):
    with tarfile.open(packed(tmp_path, disks)) as tar:
        names = tar.getnames()
        assert names == ["desk-1.ovf", "desk-1.mf", "desk-1-disk1.vmdk", "desk-1-disk2.vmdk"]
        assert all(member.isreg() and member.mode == 0o644 for member in tar)
        content = {name: tar.extractfile(name).read() for name in names}
    sums = {name: hashlib.sha256(content[name]).hexdigest() for name in names if name != "desk-1.mf"}
    assert content["desk-1.mf"].decode() == "".join(f"SHA256({name})= {told}\n" for name, told in sums.items())


def test_a_file_that_leads_elsewhere_is_not_packed(tmp_path, disks):
    thief = tmp_path / "thief.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disks[0], "-F", "qcow2", thief], check=True)
    with pytest.raises(Invalid):
        ova_pack.to_vmdk(thief, tmp_path / "made", "x", lambda share: None)


@pytest.mark.parametrize("size", [0, 511, (8 << 30) - 1, 8 << 30, 64 << 40])
def test_headers_have_room_for_every_size(size):
    head = ova_pack.header("desk-1-disk1.vmdk", size)
    assert len(head) == ova.BLOCK and head[257:262] == b"ustar"
    assert tarfile.TarInfo.frombuf(head, "utf-8", "strict").size == ova._number(head[124:136]) == size
    assert head[257:265] == (b"ustar\x0000" if size < 8 << 30 else b"ustar  \0")


def test_names_are_escaped_and_what_xml_cannot_hold_is_left_out():
    root = etree.fromstring(written(name=NASTY, description=NASTY, networks=(NASTY,)))
    clean = "a<b>&\"'ü]]>"
    assert root.find(f".//{{{ovf.OVF}}}Name").text == root.find(f".//{{{ovf.OVF}}}Annotation").text == clean
    assert root.find(f".//{{{ovf.OVF}}}Network").get(f"{{{ovf.OVF}}}name") == clean
    assert root.find(f".//{{{ovf.RASD}}}Connection").text == clean


def test_items_are_in_the_order_of_their_schema_and_refer_to_what_is_there():
    root = etree.fromstring(written())
    items = root.findall(f".//{{{ovf.OVF}}}Item")
    numbers = [item.findtext(f"{{{ovf.RASD}}}InstanceID") for item in items]
    assert len(set(numbers)) == len(numbers) == 6
    for item in items:
        assert [one.tag for one in item] == sorted(one.tag for one in item)
        assert item.findtext(f"{{{ovf.RASD}}}Parent", numbers[0]) in numbers
    networks = [one.get(f"{{{ovf.OVF}}}name") for one in root.findall(f".//{{{ovf.OVF}}}Network")]
    assert networks == ["lan"]
    disk = root.find(f".//{{{ovf.OVF}}}Disk")
    assert disk.get(f"{{{ovf.OVF}}}capacity") == str(3 << 20) and "streamOptimized" in disk.get(f"{{{ovf.OVF}}}format")


@pytest.mark.parametrize(("firmware", "keys"), [
    ("bios", []), ("uefi", ["firmware"]), ("secure", ["firmware", "bootOptions.efiSecureBootEnabled"]),
])  # fmt: skip
def test_firmware_is_told(firmware, keys):
    root = etree.fromstring(written(firmware=firmware))
    found = root.findall(f".//{{{ovf.VMW}}}Config")
    assert [one.get(f"{{{ovf.VMW}}}key") for one in found] == keys
    assert all(one.get(f"{{{ovf.OVF}}}required") == "false" for one in found)
    assert ova._proposed(root).get("firmware", "bios") == firmware
