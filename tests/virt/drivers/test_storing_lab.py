"""Files of this machine become volumes of a real storage while libvirt is busy in it."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing

import pytest

from broker.virt.driver import StorageSpec, VolumeInfo
from broker.virt.drivers import load

MIB = 1 << 20


@pytest.mark.lab
def test_files_that_come_while_another_is_copied_are_seen(connection, storage, tmp_path):
    """libvirt does not look into a directory while it copies something there."""
    big = tmp_path / "big"
    with big.open("wb") as file:
        for _piece in range(384):
            file.write(b"\x55" * MIB)
    source = connection.store_volume(storage, "big.raw", big)
    with ThreadPoolExecutor(1) as aside:
        copy = aside.submit(connection.copy_volume, storage, "copy.qcow2", source=source)
        names: list[str] = []
        while not names or (not copy.done() and len(names) < 50):
            names.append(f"small-{len(names)}.raw")
            (tmp_path / names[-1]).write_bytes(b"\x33" * 4096)
            stored = connection.store_volume(storage, names[-1], tmp_path / names[-1])
            assert (stored.name, stored.format, stored.capacity) == (names[-1], "raw", 4096)
        assert copy.result().capacity == 384 * MIB
    assert {volume.name for volume in connection.volumes(storage)} == {"big.raw", "copy.qcow2", *names}


@pytest.mark.lab
def test_what_came_while_another_is_copied_can_be_copied_itself(connection, storage, tmp_path):
    with (tmp_path / "big.raw").open("wb") as file:
        for _piece in range(384):
            file.write(b"\x55" * MIB)
    source = VolumeInfo(name="big.raw", path=str(tmp_path / "big.raw"), format="raw", capacity=384 * MIB, allocation=0)
    with ThreadPoolExecutor(1) as aside:
        big = aside.submit(connection.copy_volume, storage, "big.qcow2", source=source)
        copies = 0
        while not copies or (not big.done() and copies < 50):
            path = tmp_path / f"late-{copies}.raw"
            path.write_bytes(b"\x33" * 4096)
            late = VolumeInfo(name=path.name, path=str(path), format="raw", capacity=4096, allocation=4096)
            assert connection.copy_volume(storage, f"late-{copies}.qcow2", source=late).capacity == 4096
            copies += 1
        assert big.result().capacity == 384 * MIB


@pytest.mark.lab
def test_what_an_earlier_try_left_unseen_is_made_anew_or_removed(connection, storage, tmp_path):
    file = tmp_path / "image"
    file.write_bytes(b"\x33" * 4096)
    for name in ("again.raw", "gone.raw"):
        mark = connection.create_volume(storage, f"{name}.part", capacity=4096, raw=True)
        with open(mark.path.removesuffix(".part"), "wb") as half:
            half.write(b"\x11" * 512)
    assert connection.store_volume(storage, "again.raw", file).capacity == 4096
    connection.delete_volume(storage, "gone.raw")
    assert [volume.name for volume in connection.volumes(storage)] == ["again.raw"]


@pytest.mark.lab
def test_several_workers_have_the_host_see_a_directory_at_once(lab_host, lab_base):
    files = StorageSpec(name="at-once", kind="dir", path=str(lab_base / "at-once"))
    with ExitStack() as stack, ThreadPoolExecutor(6) as workers:
        lines = [stack.enter_context(closing(load("libvirt").connect(lab_host.uri, timeout=20))) for _ in range(6)]
        for _ in range(10):
            assert len({info.capacity for info in workers.map(lambda line: line.ensure_storage(files), lines)}) == 1
            lines[0].release_storage(files)
