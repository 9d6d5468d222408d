"""A file becomes a volume of a storage on this machine: its second name, a copy, or left to libvirt."""

import errno
import os

import pytest

from broker.virt.driver import NoSpace
from broker.virt.drivers.libvirt import beside

CONTENT = os.urandom(100_000)


@pytest.fixture
def place(tmp_path):
    """A file that was looked at, and the mark libvirt made for it."""
    source, mark = tmp_path / "uploads" / "x", tmp_path / "disks" / "image.qcow2.part"
    for path, content in ((source, CONTENT), (mark, b"")):
        path.parent.mkdir()
        path.write_bytes(content)
    source.chmod(0o644)
    mark.chmod(0o600)
    return source, mark


def failing(code):
    def fail(*args, **kwargs):
        raise OSError(code, os.strerror(code))

    return fail


def test_a_second_name_takes_no_room(place):
    source, mark = place
    assert beside.put(source, mark, lambda share: None)
    target = mark.parent / "image.qcow2"
    assert target.stat().st_ino == source.stat().st_ino and target.stat().st_mode & 0o777 == 0o600
    source.unlink()
    assert target.read_bytes() == CONTENT


def test_on_another_file_system_the_kernel_copies(place, monkeypatch):
    source, mark = place
    monkeypatch.setattr(os, "link", failing(errno.EXDEV))
    assert beside.put(source, mark, lambda share: None)
    target = mark.parent / "image.qcow2"
    assert target.read_bytes() == CONTENT and target.stat().st_ino != source.stat().st_ino
    assert target.stat().st_mode & 0o777 == 0o600
    assert not beside.put(source, mark, lambda share: None), "what is there is not written over"
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EXDEV])
def test_nothing_half_made_stays(place, monkeypatch, code):
    source, mark = place
    monkeypatch.setattr(os, "link", failing(errno.EXDEV))
    monkeypatch.setattr(os, "copy_file_range", failing(code))
    if code == errno.ENOSPC:
        with pytest.raises(NoSpace):
            beside.put(source, mark, lambda share: None)
    else:
        assert not beside.put(source, mark, lambda share: None)
    assert [path.name for path in mark.parent.iterdir()] == ["image.qcow2.part"]


def test_a_cancelled_copy_goes(place, monkeypatch):
    source, mark = place
    monkeypatch.setattr(os, "link", failing(errno.EXDEV))

    def cancelled(share):
        raise RuntimeError("cancelled")

    with pytest.raises(RuntimeError):
        beside.put(source, mark, cancelled)
    assert [path.name for path in mark.parent.iterdir()] == ["image.qcow2.part"]


def test_a_storage_elsewhere_is_left_to_libvirt(place):
    source, mark = place
    assert not beside.put(source, mark.with_name("other.qcow2.part"), lambda share: None)
    link = source.with_name("link")
    link.symlink_to(source)
    assert not beside.put(link, mark, lambda share: None)
    assert beside.is_local("qemu:///system") and beside.is_local("qemu+unix:///system?socket=/run/x")
    assert not beside.is_local("qemu+tls://host.example/system")
