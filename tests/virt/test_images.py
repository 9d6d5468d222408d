"""Images somebody supplied: only plain qcow2 gets through, shown with images that qemu-img made."""

import struct
import subprocess

import pytest

from broker.core.errors import Invalid
from broker.virt import images


@pytest.fixture
def folder(tmp_path, settings):
    settings.DATA_DIR = tmp_path
    place = tmp_path / "import"
    place.mkdir()
    return place


def qemu_img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


def refusal(source, **how):
    with pytest.raises(Invalid) as caught:
        images.inspect(source, **how)
    assert caught.value.field == "source"
    assert caught.value.fix
    return caught.value.message


@pytest.mark.parametrize(
    "options", [["compat=0.10"], ["compat=1.1"], ["compat=1.1", "compression_type=zstd"], ["extended_l2=on"]]
)
def test_plain_qcow2_is_taken(folder, options):
    qemu_img("create", "-f", "qcow2", "-o", ",".join(options), folder / "good.qcow2", "3M")
    facts = images.inspect("good.qcow2")
    assert facts.capacity == 3 << 20
    assert images.inspect(str(folder / "good.qcow2")) == facts


def test_other_formats_are_named(folder):
    for kind, said in (("vmdk", "VMDK"), ("vpc", "VHD"), ("vhdx", "VHDX"), ("qed", "QED"), ("raw", "raw")):
        qemu_img("create", "-f", kind, folder / "disk.qcow2", "3M")
        assert said in refusal("disk.qcow2")
        (folder / "disk.qcow2").unlink()


def test_a_vmdk_descriptor_is_refused(folder):
    """Row S25."""
    (folder / "x.qcow2").write_text('# Disk DescriptorFile\nversion=1\nRW 1 FLAT "/etc/shadow" 0\n')
    assert "VMDK" in refusal("x.qcow2", thoroughly=False)


def test_a_backing_file_is_refused(folder):
    """Row S23."""
    qemu_img("create", "-f", "qcow2", folder / "base", "1M")
    qemu_img("create", "-f", "qcow2", "-b", folder / "base", "-F", "qcow2", folder / "top", "1M")
    assert "backing" in refusal("top", thoroughly=False)


def test_an_external_data_file_is_refused(folder):
    """Row S23."""
    qemu_img("create", "-f", "qcow2", "-o", f"data_file={folder / 'data'}", folder / "x", "1M")
    assert "another file" in refusal("x", thoroughly=False)


def test_a_hidden_data_file_name_is_refused(folder):
    """The extension alone, without the feature bit, is refused as well."""
    qemu_img("create", "-f", "qcow2", folder / "x", "1M")
    head = bytearray((folder / "x").read_bytes())
    start = struct.unpack_from(">I", head, 100)[0]
    struct.pack_into(">II8s", head, start, 0x44415441, 8, b"/etc/pwd")
    (folder / "x").write_bytes(head)
    assert "another file" in refusal("x", thoroughly=False)


@pytest.mark.parametrize("way", ["aes", pytest.param("luks", marks=pytest.mark.slow)])  # deriving LUKS keys takes time
def test_encryption_is_refused(folder, way):
    secret = ("--object", "secret,id=s,data=hunter2")
    options = f"encrypt.format={way},encrypt.key-secret=s" + (",encrypt.iter-time=10" if way == "luks" else "")
    for _ in range(15):
        try:
            qemu_img("create", *secret, "-f", "qcow2", "-o", options, folder / "x", "1M")
            break
        except subprocess.CalledProcessError as error:
            # QEMU times its key derivation, and gives up where a virtual processor's clock is too coarse for it.
            if b"accurate CPU usage" not in error.stderr:
                raise
    assert "encrypted" in refusal("x")


@pytest.mark.parametrize(
    "patch", [(4, ">I", 9), (24, ">Q", 0), (24, ">Q", 1 << 60), (72, ">Q", 2), (72, ">Q", 1 << 40), (8, ">Q", 4096)]
)
def test_damaged_headers_are_refused(folder, patch):
    offset, form, value = patch
    qemu_img("create", "-f", "qcow2", folder / "x", "1M")
    head = bytearray((folder / "x").read_bytes())
    struct.pack_into(form, head, offset, value)
    (folder / "x").write_bytes(head)
    refusal("x", thoroughly=False)


@pytest.mark.parametrize("content", [b"", b"QFI\xfb", b"QFI\xfb" + b"\0" * 90, b"QFI\xfb\0\0\0\3" + b"\xff" * 500])
def test_cut_off_files_are_refused(folder, content):
    (folder / "x").write_bytes(content)
    refusal("x")


def test_qemu_img_has_the_last_word(folder):
    qemu_img("create", "-f", "qcow2", folder / "x", "1M")
    head = bytearray((folder / "x").read_bytes())
    struct.pack_into(">I", head, 20, 40)  # clusters of a tebibyte
    (folder / "x").write_bytes(head)
    images.inspect("x", thoroughly=False)
    assert "qemu-img" in refusal("x")


def test_links_folders_pipes_and_other_places_are_refused(folder, tmp_path):
    """Row S28."""
    import os

    qemu_img("create", "-f", "qcow2", tmp_path / "outside", "1M")
    (folder / "link").symlink_to(tmp_path / "outside")
    (folder / "dir").mkdir()
    os.mkfifo(folder / "pipe")
    for source in ("link", "dir", "pipe", "missing", "../outside", str(tmp_path / "outside"), "/etc/passwd", "a/b", ""):
        refusal(source)
