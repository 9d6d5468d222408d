"""A recorder takes what the machine sends on the event loop; one thread of the gateway packs, encrypts and writes it.

The relay waits for nothing here: what cannot be kept up with, or written, ends the recording and never the console.
"""

import errno
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from broker.connections.recording.format import LONGEST, Entry, Packer
from broker.gateway.memory import give_back, keep

log = logging.getLogger(__name__)

WAITING = 16 * 1024 * 1024
"""Bytes that may wait for the disk, per recording."""
_HURRY = WAITING // 4
"""With more waiting than this it is written without being compressed."""
_CHUNK = 512 * 1024
_EVERY = 1.0
_BURST_PAUSE, _BURST_LASTS = 0.01, 0.25
"""Seconds: nothing came for so long, so a burst is over; so long one is waited for."""
_BURST_MOST = WAITING // 16 * 9
"""With more waiting than this it is written though the burst goes on: what is left is room to come to it."""
_ENTRY_COST = 64
_GIVES_WAY = 10
"""The writing thread's niceness; the relay's is 0."""
_ENDING = 64
"""More than the last chunk takes."""


@dataclass(frozen=True, slots=True)
class Tape:
    """Where a recording goes. The key stays out of repr() and so out of logs. `most`: bytes the file may have."""

    recording: UUID
    path: str
    key: bytes = field(repr=False)
    most: int = 0


Ended = Callable[[UUID, str, int], None]
"""Told once for each recording, from the writing thread: which, why ("finished", "full", "slow", "limit",
"failed"), and the size of the file."""


class Recorder:
    """One recording. `take` and `close` belong to the event loop, all else to the writing thread."""

    def __init__(self, tape: Tape, wake: Callable[[], None], *, opener: Callable[[str], BinaryIO]):
        self.tape, self._wake, self._opener = tape, wake, opener
        self._began = time.monotonic()
        self._queue: deque[Entry] = deque()
        self._taken = self._drained = 0
        self._closed = self._too_slow = self._woke = False
        self._file: BinaryIO | None = None
        self._packer: Packer | None = None
        self.size = 0

    def take(self, data: bytes) -> None:
        """What the machine sent. A deque needs no lock: here it is filled, there it is emptied."""
        if self._too_slow or self._closed:
            return
        waiting = self._taken - self._drained
        if waiting + len(data) > WAITING:
            self._too_slow = True
            self._wake()
            return
        self._queue.append(Entry(self._now(), bytes(data)))
        self._taken += len(data) + _ENTRY_COST
        waiting += len(data)
        if waiting > _BURST_MOST or (waiting > _CHUNK and not self._woke):
            self._woke = True
            self._wake()

    @property
    def taken(self) -> int:
        """How much was taken so far; while it grows, a burst goes on."""
        return self._taken

    @property
    def full(self) -> bool:
        """Whether it has to be written now, burst or not."""
        return self._closed or self._too_slow or self._taken - self._drained > _BURST_MOST

    def close(self) -> None:
        """The console is over; what waits is still written."""
        self._closed = True
        self._wake()

    def _now(self) -> int:
        return min(int((time.monotonic() - self._began) * 1000), LONGEST)

    def work(self) -> str:
        """Write what waits. Returns why the recording is over, or "" while it goes on."""
        closed, self._woke = self._closed, False
        try:
            over = self._drain() or ("slow" if self._too_slow else "finished" if closed else "")
            if over:
                self._finish()
            return over
        except OSError as error:
            log.warning("recording %s cannot be written: %s", self.tape.recording, error)
            self._drop()
            return "full" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "failed"
        except Exception:
            log.exception("recording %s failed", self.tape.recording)
            self._drop()
            return "failed"

    def _drain(self) -> str:
        if self._file is None:
            self._packer = Packer(self.tape.recording, self.tape.key)
            self._file = self._opener(self.tape.path)
            self._write(self._packer.header)
        assert self._packer is not None
        while self._queue:
            hurry = self._taken - self._drained > _HURRY
            entries, length = [], 0
            while self._queue and length < _CHUNK:
                entries.append(self._queue.popleft())
                length += len(entries[-1].data) + _ENTRY_COST
            self._drained += length
            if self.tape.most and self.size + length + _ENDING > self.tape.most:
                return "limit"
            self._write(self._packer.pack(entries, compress=not hurry))
        return ""

    def _write(self, data: bytes) -> None:
        assert self._file is not None
        self._file.write(data)
        self._file.flush()
        self.size += len(data)

    def _finish(self) -> None:
        assert self._packer is not None
        self._write(self._packer.finish(self._now()))
        self._drop()

    def _drop(self) -> None:
        self._closed = True
        self._queue.clear()
        if self._file:
            try:
                self._file.close()
            except OSError as error:
                log.warning("recording %s could not be closed: %s", self.tape.recording, error)
            self._file = None


def _create(path: str) -> BinaryIO:
    """A new file that nobody else may read; never over one that is there."""
    Path(path).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")


class Scribe:
    """The writing thread and its recordings. It begins with the first and stays."""

    def __init__(self, ended: Ended, *, opener: Callable[[str], BinaryIO] = _create):
        self._ended, self._opener = ended, opener
        self._lock, self._woken = threading.Lock(), threading.Event()
        self._recorders: list[Recorder] = []
        self._thread: threading.Thread | None = None
        self._stopping = False

    def begin(self, tape: Tape) -> Recorder:
        recorder = Recorder(tape, self._woken.set, opener=self._opener)
        with self._lock:
            self._recorders.append(recorder)
            if self._thread is None:
                keep(WAITING)
                self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
                self._thread.start()
        return recorder

    def stop(self) -> None:
        """Finish all recordings; returns when they are written and told."""
        with self._lock:
            self._stopping, thread = True, self._thread
            for recorder in self._recorders:
                recorder.close()
        self._woken.set()
        if thread:
            thread.join()

    def _run(self) -> None:
        with suppress(OSError):  # by thread on Linux: where they share a core, the relay goes first
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GIVES_WAY)
        while True:
            self._woken.wait(_EVERY)
            self._let_pass()
            self._woken.clear()
            with self._lock:
                present, stopping = list(self._recorders), self._stopping
            for recorder in present:
                if why := recorder.work():
                    self._end(recorder, why)
            with self._lock:
                if stopping and not self._recorders:
                    return

    def _let_pass(self) -> None:
        """Wait until a burst is over: its bytes are for the browser first, and the interpreter is one for both."""
        until, before = time.monotonic() + _BURST_LASTS, -1
        while time.monotonic() < until:
            self._woken.clear()
            with self._lock:
                present = list(self._recorders)
            now = sum(one.taken for one in present)
            if now == before or any(one.full for one in present):
                return
            before = now
            self._woken.wait(_BURST_PAUSE)

    def _end(self, recorder: Recorder, why: str) -> None:
        with self._lock:
            self._recorders.remove(recorder)
            if not self._recorders:
                give_back()
        try:
            self._ended(recorder.tape.recording, why, recorder.size)
        except Exception as error:
            log.warning("the end of recording %s could not be noted: %r", recorder.tape.recording, error)
