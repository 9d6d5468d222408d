"""Recording beside the relay: all of it in the file, and whatever happens to the disk is the recording's end only."""

import errno
import io
import os
import threading
from uuid import uuid4

import pytest

from broker.connections.recording.format import KEY_BYTES, Unfinished, read
from broker.gateway.recording import Scribe, Tape
from broker.gateway.recording.recorder import WAITING


class Told:
    """Who is told of ends, and waits for one."""

    def __init__(self):
        self.ends, self._one = {}, threading.Event()

    def __call__(self, recording, why, size):
        self.ends[recording] = (why, size)
        self._one.set()

    def wait(self):
        assert self._one.wait(30)
        return next(iter(self.ends.values()))


class FullDisk(io.BytesIO):
    """Has room for the header only."""

    def write(self, data):
        if self.tell() + len(data) > 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


@pytest.fixture
def tape(tmp_path):
    return Tape(uuid4(), str(tmp_path / "recordings" / "one"), os.urandom(KEY_BYTES))


def whole(tape) -> bytes:
    with open(tape.path, "rb") as file:
        return b"".join(entry.data for entry in read(file, tape.recording, tape.key))


def test_all_that_was_sent_is_in_the_file_and_only_the_owner_may_read_it(tape):
    told = Told()
    scribe = Scribe(told)
    recorder = scribe.begin(tape)
    sent = [os.urandom(70_001), bytes(300_000), *(bytes([n]) * n for n in range(1, 200))]
    for piece in sent:
        recorder.take(piece)
    recorder.close()
    scribe.stop()
    assert whole(tape) == b"".join(sent)
    assert told.ends == {tape.recording: ("finished", os.path.getsize(tape.path))}
    assert os.stat(tape.path).st_mode & 0o777 == 0o600
    assert tape.key.hex() not in repr(tape) and repr(tape.key) not in repr(tape)


def test_a_view_that_the_transport_uses_again_is_copied(tape):
    scribe = Scribe(Told())
    recorder = scribe.begin(tape)
    buffer = bytearray(b"first")
    recorder.take(memoryview(buffer))
    buffer[:] = b"other"
    scribe.stop()
    assert whole(tape) == b"first"


def test_a_full_disk_ends_the_recording_and_says_so(tape):
    told = Told()
    scribe = Scribe(told, opener=lambda path: FullDisk())
    recorder = scribe.begin(tape)
    recorder.take(os.urandom(500))
    recorder.close()
    assert told.wait()[0] == "full"
    recorder.take(b"the console goes on")
    scribe.stop()
    assert len(told.ends) == 1


def test_a_disk_that_is_too_slow_ends_the_recording_with_bounded_memory(tape):
    gate, told = threading.Event(), Told()

    def slow(path):
        assert gate.wait(30)
        return io.BytesIO()

    scribe = Scribe(told, opener=slow)
    recorder = scribe.begin(tape)
    piece = bytes(1024 * 1024)
    for _ in range(4 * WAITING // len(piece)):
        recorder.take(piece)
    assert recorder._taken <= WAITING + 64 * 64
    gate.set()
    assert told.wait()[0] == "slow"
    scribe.stop()


def test_a_recording_stops_at_its_size_and_can_be_read(tape):
    tape, told = Tape(tape.recording, tape.path, tape.key, most=1024 * 1024), Told()
    scribe = Scribe(told)
    recorder = scribe.begin(tape)
    for _ in range(40):
        recorder.take(os.urandom(50_000))
    why, size = told.wait()
    scribe.stop()
    assert why == "limit" and size == os.path.getsize(tape.path) <= tape.most
    assert 0 < len(whole(tape)) < 40 * 50_000


def test_no_recording_overwrites_another_and_a_crashed_one_is_known(tape):
    os.makedirs(os.path.dirname(tape.path))
    with open(tape.path, "wb") as file:
        file.write(b"BERTHREC\x01" + tape.recording.bytes)
    told = Told()
    scribe = Scribe(told)
    scribe.begin(tape).take(b"x")
    assert told.wait()[0] == "failed"
    scribe.stop()
    with pytest.raises(Unfinished):
        whole(tape)
