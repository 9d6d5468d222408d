"""Files are overwritten before they go: looked at through a second name, and on the disk below the file system."""

import os
import subprocess
from pathlib import Path

import pytest

from broker.virt.driver import StorageSpec

MIB = 1 << 20
SECRET = b"nobody may read this "


def _fill(path: Path, *, holes: bool) -> None:
    """A qcow2 image of the secret, with holes in the file where the guest discarded what it had written."""
    raw = path.with_suffix(".tmp")
    raw.write_bytes(SECRET * (8 * MIB // len(SECRET)))
    os.truncate(raw, 32 * MIB)
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", raw, path], check=True)
    raw.unlink()
    if holes:
        _io(path, "discard 2M 2M", "write -P 0x77 16M 64k")
    os.sync()


def _io(path: Path, *orders: str) -> None:
    words = [word for order in orders for word in ("-c", order)]
    subprocess.run(["qemu-io", "-d", "unmap", *words, path], check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def small_disk(lab_base, connection):
    """A storage on a file system of its own, and the file that is its disk."""
    disk, there = lab_base / "disk.img", lab_base / "small"
    there.mkdir()
    with disk.open("wb") as file:
        file.truncate(192 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", disk], check=True)
    subprocess.run(["mount", "-o", "loop", disk, there], check=True)
    spec = StorageSpec(name="small-disk", kind="dir", path=str(there))
    try:
        connection.ensure_storage(spec)
        yield spec, disk
        connection.release_storage(spec)
    finally:
        subprocess.run(["umount", there], check=True)
        there.rmdir()
        disk.unlink()


@pytest.mark.lab
@pytest.mark.parametrize("holes", [False, True])
def test_a_second_name_of_the_file_shows_zeroes_and_as_many_bytes(connection, storage, holes):
    file, kept = Path(storage.path) / "secret.qcow2", Path(storage.path).parent / f"kept-{holes}"
    _fill(file, holes=holes)
    os.link(file, kept)
    before = kept.stat()
    assert SECRET in kept.read_bytes()
    assert (before.st_blocks * 512 < before.st_size) or not holes
    connection.wipe_volume(storage, "secret.qcow2")
    connection.delete_volume(storage, "secret.qcow2")
    assert not file.exists()
    after = kept.read_bytes()
    assert len(after) >= before.st_size and not any(after)
    # overwritten where it was: nothing was given back to the file system before it was
    assert kept.stat().st_blocks >= before.st_blocks
    kept.unlink()


@pytest.mark.lab
def test_the_disk_below_has_nothing_of_it_the_moment_it_is_deleted(connection, small_disk):
    storage, disk = small_disk
    for name in ("deleted.qcow2", "wiped.qcow2"):
        _fill(Path(storage.path) / name, holes=True)
    assert disk.read_bytes().count(SECRET) > 600_000 // 10
    connection.wipe_volume(storage, "wiped.qcow2")
    connection.delete_volume(storage, "wiped.qcow2")
    half = disk.read_bytes().count(SECRET)
    connection.delete_volume(storage, "deleted.qcow2")
    left = disk.read_bytes().count(SECRET)
    assert left == half > 0, "deleting alone leaves it, or this test sees nothing"
    connection.wipe_volume(storage, "deleted.qcow2")


@pytest.mark.lab
def test_a_raw_image_that_begins_like_anything(connection, storage):
    file, kept = Path(storage.path) / "secret.raw", Path(storage.path).parent / "kept-raw"
    with file.open("wb") as raw:
        raw.write(SECRET * 100)
        raw.seek(40 * MIB)
        raw.write(SECRET * 100)
        raw.truncate(2 << 30)
    os.link(file, kept)
    connection.wipe_volume(storage, "secret.raw")
    connection.delete_volume(storage, "secret.raw")
    assert kept.stat().st_blocks * 512 < 8 * MIB, "holes stay holes"
    with kept.open("rb") as left:
        for at in (0, 40 * MIB):
            left.seek(at)
            assert not any(left.read(4096))
    kept.unlink()


@pytest.mark.lab
def test_it_can_be_ended_half_way_and_begun_again(connection, storage):
    file, kept = Path(storage.path) / "secret.qcow2", Path(storage.path).parent / "kept-half"
    _fill(file, holes=True)
    os.link(file, kept)

    def end(share: float) -> None:
        if share > 0.5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        connection.wipe_volume(storage, "secret.qcow2", progress=end)
    connection.wipe_volume(storage, "secret.qcow2")
    assert not any(kept.read_bytes())
    connection.delete_volume(storage, "secret.qcow2")
    kept.unlink()
