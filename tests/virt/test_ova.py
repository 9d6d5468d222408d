"""Appliances: a disk is taken out of a real tar and its description; what lies about itself is refused."""

import io
import subprocess
import tarfile

import pytest

from broker.core.errors import Invalid
from broker.virt import image_formats, ova

OVF = """<?xml version="1.0"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
  <References><File ovf:id="f1" ovf:href="{href}" {file}/></References>
  <DiskSection><Disk ovf:diskId="d1" ovf:fileRef="f1" ovf:capacity="3145728"/>{disks}</DiskSection>
  <VirtualSystem ovf:id="old"><VirtualHardwareSection>
    <Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>{cpus}</rasd:VirtualQuantity></Item>
    <Item><rasd:AllocationUnits>{unit}</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType>
      <rasd:VirtualQuantity>{memory}</rasd:VirtualQuantity></Item>
    <Item><rasd:ResourceType>10</rasd:ResourceType></Item><Item><rasd:ResourceType>10</rasd:ResourceType></Item>
  </VirtualHardwareSection></VirtualSystem>{more}
</Envelope>"""
PLAIN = {
    "href": "disk1.vmdk", "file": "", "disks": "", "cpus": "2", "unit": "byte * 2^20", "memory": "3072", "more": "",
}  # fmt: skip


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ova")
    (folder / "raw").write_bytes(bytes(range(256)) * 12288)
    subprocess.run(
        ["qemu-img", "convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=streamOptimized", folder / "raw",
         folder / "disk1.vmdk"], check=True,
    )  # fmt: skip
    return (folder / "disk1.vmdk").read_bytes()


@pytest.fixture(autouse=True)
def here(settings, tmp_path):
    settings.DATA_DIR = tmp_path


def packed(tmp_path, disk, *, text=None, name="old.ovf", disk_name="disk1.vmdk", **words):
    path = tmp_path / "one.ova"
    text = (OVF.format(**PLAIN | words) if text is None else text).encode()
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for member, content in ((name, text), (disk_name, disk), ("old.mf", b"SHA256(x)= 0")):
            info = tarfile.TarInfo(member)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def taken(path):
    return ova.take_disk(path, path.with_name("inner"), lambda share: None)


def test_the_disk_is_taken_and_the_hardware_proposed(tmp_path, disk):
    path = packed(tmp_path, disk)
    assert ova.is_one(path) and taken(path) == {"vcpus": 2, "memory_mib": 3072, "cards": 2}
    inner = tmp_path / "inner"
    assert inner.read_bytes() == disk and inner.stat().st_mode & 0o077 == 0
    assert image_formats.look(inner, "disk") == image_formats.Looked("vmdk", 3 << 20)


def test_of_several_disks_each_is_taken_by_its_place(tmp_path, disk):
    words = {"disks": '<Disk ovf:diskId="d2" ovf:fileRef="f2"/>', "file": '/><File ovf:id="f2" ovf:href="two.vmdk"'}
    path = packed(tmp_path, disk, **words)
    with tarfile.open(path, "a", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo("two.vmdk")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"other"))
    assert taken(path)["disks"] == 2 and (tmp_path / "inner").read_bytes() == disk
    ova.take_disk(path, tmp_path / "inner", lambda share: None, number=1)
    assert (tmp_path / "inner").read_bytes() == b"other"
    many = "".join(f'<Disk ovf:diskId="d{n}" ovf:fileRef="f1"/>' for n in range(17))
    for bad in ({"disks": many}, words | {"file": ""}):
        with pytest.raises(Invalid):
            taken(packed(tmp_path, disk, **bad))


@pytest.mark.parametrize(
    ("words", "proposed"),
    [
        ({"unit": "MegaBytes", "memory": "512"}, 512), ({"unit": "byte * 2^30", "memory": "2"}, 2048),
        ({"unit": "byte", "memory": str(1 << 30)}, 1024), ({"memory": "1"}, 16), ({"memory": "9" * 15}, 4 << 20),
        ({"memory": "-5"}, None), ({"memory": "x"}, None), ({"memory": "9" * 99}, None),
    ],
)  # fmt: skip
def test_sizes_are_read_and_kept_within_bounds(tmp_path, disk, words, proposed):
    assert taken(packed(tmp_path, disk, **words)).get("memory_mib") == proposed


@pytest.mark.parametrize(
    "words",
    [
        {"href": "/etc/passwd"}, {"href": "../disk1.vmdk"}, {"href": "file:///etc/passwd"}, {"href": ""},
        {"href": "old.ovf/../disk1.vmdk"}, {"file": 'ovf:compression="gzip"'}, {"file": 'ovf:chunkSize="7516192768"'},
        {"disks": '<Disk ovf:diskId="d2" ovf:fileRef="f1"/>'}, {"more": "<VirtualSystem/>"}, {"text": ""},
        {"text": "no xml"}, {"text": "<Envelope>" + "x" * (1 << 20) + "</Envelope>"}, {"text": "<Envelope/>"},
        {"text": '<!DOCTYPE E [<!ENTITY a "b">]>' + OVF.format(**PLAIN).partition("?>")[2]},
        {"text": '<!DOCTYPE E [<!ENTITY x SYSTEM "file:///etc/passwd">]><Envelope>&x;</Envelope>'},
        {"text": '<!DOCTYPE l [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><l>&b;&b;&b;</l>'},
    ],
)  # fmt: skip
def test_what_lies_or_leads_elsewhere_is_refused(tmp_path, disk, words):
    path = packed(tmp_path, disk, **words)
    with pytest.raises(Invalid) as caught:
        taken(path)
    assert caught.value.fix and not (tmp_path / "inner").exists()


def test_members_that_are_no_plain_files_are_refused(tmp_path, disk):
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
        path = packed(tmp_path, disk)
        with tarfile.open(path, "a", format=tarfile.USTAR_FORMAT) as tar:
            info = tarfile.TarInfo("more")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        with pytest.raises(Invalid):
            taken(path)


@pytest.mark.parametrize("length", [b"77777777777\0", b"-0000000001\0", b"\x80" + b"\xff" * 11, b"zzzzzzzzzzz\0"])
def test_members_that_are_longer_than_the_file_are_refused(tmp_path, disk, length):
    path = packed(tmp_path, disk)
    with path.open("r+b") as file:
        file.seek(124)
        file.write(length)
    with pytest.raises(Invalid):
        taken(path)


def test_too_many_members_and_half_of_one_are_refused(tmp_path, disk):
    path = packed(tmp_path, disk)
    with tarfile.open(path, "a", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(ova.MOST_MEMBERS):
            tar.addfile(tarfile.TarInfo(f"m{number}"))
    with pytest.raises(Invalid):
        taken(path)
    whole = packed(tmp_path, disk).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Invalid):
        taken(path)


def test_other_files_are_no_appliance(tmp_path, disk):
    assert not ova.is_one(packed(tmp_path, disk, name="x.txt"))
    (tmp_path / "raw").write_bytes(bytes(4096))
    assert not ova.is_one(tmp_path / "raw")
