"""The process that makes a video: told at its input which, it answers with one line, and then with the video.

The line is "ok", or why there is none: "damaged", "unreadable", "empty" or "long". Before it is written, all of the
recording was read once; so nothing of one that is not genuine is ever shown.
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

from broker.connections.recording.format import Damaged, read

from . import Unreadable
from .canvas import Canvas
from .ffmpeg import command, kind
from .matroska import Writer
from .screen import Screen
from .source import Source

EVERY = 100
"""Milliseconds: no more than ten pictures a second."""
LONGEST = 12 * 3600 * 1000
_GIVES_WAY = 15
_CPU_SECONDS = 3 * 3600
_MEMORY = 3 * 1024**3


class Camera:
    """Takes a picture of what changed when its moment is over. The first is at 0, the last at the end."""

    def __init__(self, canvas: Canvas, writer: Writer, width: int, height: int):
        self._canvas, self._writer, self._size = canvas, writer, (width, height)
        self._now, self._shown = 0, -1

    def before(self, at: int) -> None:
        """Time goes on: nothing more will be painted before this."""
        moment = at // EVERY
        if moment > self._now:
            if self._canvas.changed or self._shown < 0:
                self._take()
            self._now = moment

    def end(self) -> None:
        if self._canvas.changed or self._shown < self._now:
            self._take()

    def _take(self) -> None:
        self._shown = self._now
        self._writer.write(self._now * EVERY, self._canvas.frame(*self._size))


def _followed(wanted: dict[str, Any], canvas: Canvas, before: Any) -> int:
    """Plays it on that canvas; returns when it ended."""
    recording = UUID(wanted["recording"])
    with Path(wanted["path"]).open("rb") as file:
        entries = read(file, recording, bytes.fromhex(wanted["key"]))
        source = Source(entries, before, whole=wanted["whole"])
        Screen(source, canvas).play()
        return source.at


def _judged(wanted: dict[str, Any]) -> tuple[str, Canvas, int]:
    """The line to answer with, the sizes and the length."""
    canvas, length = Canvas(blind=True), 0
    try:
        length = _followed(wanted, canvas, lambda at: None)
    except Damaged:
        return "damaged", canvas, 0
    except Unreadable:
        return "unreadable", canvas, 0
    if not canvas.widest:
        return "empty", canvas, 0
    return ("long" if length > LONGEST else "ok"), canvas, length


def main() -> int:
    os.nice(_GIVES_WAY)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_SECONDS, _CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the key
    wanted = json.load(sys.stdin)
    verdict, sizes, length = _judged(wanted)
    sys.stdout.write(f"{verdict}\n")
    sys.stdout.flush()
    if verdict != "ok":
        return 0
    made = kind()
    assert made is not None, "whoever asks looks for ffmpeg before"
    width, height = sizes.widest + sizes.widest % 2, sizes.highest + sizes.highest % 2
    with subprocess.Popen(command(made, length), stdin=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None
        try:
            with ffmpeg.stdin as pictures:
                canvas = Canvas()
                camera = Camera(canvas, Writer(pictures, width, height, every=EVERY), width, height)
                _followed(wanted, canvas, camera.before)
                camera.end()
        except BrokenPipeError:
            return 1  # nobody takes the video any more
        except BaseException:
            ffmpeg.kill()  # what has no end must not look as if it had one
            raise
    return ffmpeg.returncode


if __name__ == "__main__":
    sys.exit(main())
