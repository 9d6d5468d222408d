"""What uploaded files are, by their content: what stands alone is taken and converted, what names others is not."""

import os
import subprocess
from pathlib import Path

import pytest

from broker.core.errors import Invalid
from broker.virt import image_formats, images

MIB = 1 << 20


def qemu_img(*words):
    subprocess.run(["qemu-img", *map(str, words)], check=True, capture_output=True)


@pytest.fixture
def raw(tmp_path):
    path = tmp_path / "plain.raw"
    path.write_bytes(os.urandom(MIB) + bytes(MIB))
    return path


def iso(path: Path) -> Path:
    path.write_bytes(bytes(32768) + b"\x01CD001\x01" + bytes(64 * 1024))
    return path


@pytest.mark.parametrize(
    ("kind", "options"),
    [("qcow2", ""), ("raw", ""), ("vdi", ""), ("vmdk", "subformat=monolithicSparse"),
     ("vmdk", "subformat=streamOptimized")],
)  # fmt: skip
def test_what_stands_alone_becomes_the_same_disk(tmp_path, settings, raw, kind, options):
    settings.DATA_DIR = tmp_path
    source, target = tmp_path / "source", tmp_path / "target.qcow2"
    qemu_img("convert", "-f", "raw", "-O", kind, *(["-o", options] if options else []), raw, source)
    looked = image_formats.look(source, "disk")
    assert (looked.format, looked.capacity) == (kind, 2 * MIB)
    image_formats.convert(source, target, looked, lambda share: None)
    qemu_img("compare", "-f", "raw", "-F", "qcow2", raw, target)


def test_a_cd_is_a_cd_and_no_disk(tmp_path):
    path = iso(tmp_path / "cd")
    assert image_formats.look(path, "iso").format == "iso"
    with pytest.raises(Invalid):
        image_formats.look(path, "disk")


def refused(path, kind="disk", **how):
    with pytest.raises(Invalid) as caught:
        image_formats.look(path, kind, **how)
    assert caught.value.fix


def test_what_names_other_files_or_lies_about_itself_is_refused(tmp_path, raw):
    """Rows S23, S24 and S25."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"root:x:0:0" + bytes(MIB))
    for kind in ("qcow2", "vmdk"):
        above = tmp_path / f"above.{kind}"
        below = tmp_path / f"below.{kind}"
        qemu_img("convert", "-f", "raw", "-O", kind, secret, below)
        qemu_img("create", "-f", kind, "-b", below, "-F", kind, above)
        refused(above)
    flat = tmp_path / "flat.vmdk"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", "-o", "subformat=monolithicFlat", raw, flat)
    refused(flat)
    sparse = tmp_path / "sparse.vmdk"
    qemu_img("convert", "-f", "raw", "-O", "vmdk", raw, sparse)
    sparse.write_bytes(sparse.read_bytes().replace(b'SPARSE "sparse.vmdk"', b'FLAT   "/etc/passwd" '))
    refused(sparse)
    qcow2 = tmp_path / "a.qcow2"
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, qcow2)
    refused(qcow2, said="raw")
    refused(qcow2, kind="iso")
    refused(raw, kind="iso")
    packed = tmp_path / "a.gz"
    packed.write_bytes(b"\x1f\x8b" + bytes(MIB))
    refused(packed)


def test_sizes_that_make_no_sense_are_refused(tmp_path):
    """Row S26."""
    huge = tmp_path / "huge.vdi"
    qemu_img("create", "-f", "vdi", huge, "1G")
    told = bytearray(huge.read_bytes())
    told[0x170:0x178] = (images.LARGEST + 512).to_bytes(8, "little")
    huge.write_bytes(told)
    refused(huge)
    (tmp_path / "empty").write_bytes(b"x")
    refused(tmp_path / "empty")


def test_a_link_is_not_followed(tmp_path):
    """Row S28."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(OSError):
        image_formats.look(tmp_path / "link", "disk")
