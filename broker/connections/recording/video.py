"""The process that makes a video of a recording, as whoever hands the video on sees it: one at a time on a computer."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from django.conf import settings

from broker.connections.models import Recording
from broker.settings import env

from .files import key_of, path_of

_PIECE = 128 * 1024
_LONGEST_LINE = 64
_PATIENCE = 2.0
"""Seconds that the one before has to end: who cancels a video may ask for it again at once."""


class Taken(Exception):
    """Another video is being made on this computer."""


class BrokenOff(Exception):
    """The video has no end: what makes it failed."""


class Making(Iterator[bytes]):
    """`verdict` is what the process says first (film/__main__.py); then iterating gives the video.

    Close it in any case. Raises Taken; OSError or CannotOpen when file or key are gone.
    """

    def __init__(self, recording: Recording):
        key = key_of(recording)
        path = path_of(recording.pk)
        path.open("rb").close()
        told = {"path": str(path), "recording": str(recording.pk), "key": key.hex(), "whole": recording.whole}
        place = _place()
        try:
            self._process = _started(place)
        finally:
            os.close(place)  # the process holds it for as long as it lives
        to, self._from = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)
        with suppress(BrokenPipeError), to:
            to.write(json.dumps(told).encode())
        self.verdict = self._from.readline(_LONGEST_LINE).decode(errors="replace").strip()

    def __next__(self) -> bytes:
        """Raises BrokenOff, so that half a video is not taken for one."""
        piece: bytes = self._from.read1(_PIECE)  # type: ignore[attr-defined]
        if piece:
            return piece
        if self._process.wait() != 0:
            raise BrokenOff
        raise StopIteration

    def close(self) -> None:
        """It and its ffmpeg end at once."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._from.close()


def _place() -> int:
    """A descriptor that holds this computer's one place for making videos."""
    path = Path(env.data_dir) / "video.lock"
    place = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(place)
                raise Taken from None
            time.sleep(0.05)
        else:
            return place


def _started(place: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "broker.connections.recording.film"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=settings.BASE_DIR,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},  # none of our secrets
        pass_fds=(place,),
        start_new_session=True,
    )
