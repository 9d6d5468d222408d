"""A finished recording for tests of the pages: what a screen of one colour after another says, in a real file; and a
look at a video of one."""

import json
import struct
import subprocess
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image, ImageChops, ImageStat

from broker.connections.models import Recording
from broker.connections.recording.files import new_key, path_of
from broker.connections.recording.format import Entry, Packer
from broker.core import clock
from broker.virt.models import VirtualMachine
from broker.virt.serial import wire

WIDTH, HEIGHT = 64, 48
COLOURS = ((0xF0, 0x20, 0x20), (0x20, 0xF0, 0x20), (0x20, 0x80, 0xF0))
EVERY = 20_000
"""Milliseconds after which the screen takes the next colour; it ends as long after the last."""
_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)


def coloured(vm: VirtualMachine, user, *, whole: bool = True) -> Recording:
    """The first colour at once, the guest's clipboard in the middle of the second."""
    entries = [Entry(0, struct.pack(">HH", WIDTH, HEIGHT) + _FORMAT + struct.pack(">I", 4) + b"fake")]
    for number, colour in enumerate(COLOURS):
        entries.append(Entry(number * EVERY + 5, _painted(colour)))
        if number == 1:
            entries.append(Entry(number * EVERY + 10_000, struct.pack(">B3xI", 3, 4) + b"text"))
    return _kept(vm, user, "vnc", entries, whole=whole)


def typed(vm: VirtualMachine, user) -> Recording:
    """A serial line that writes "first", "second" and "third", one after the other."""
    words = [wire.frame(wire.DATA, word + b"\r\n") for word in (b"first", b"second <b>", b"third")]
    return _kept(vm, user, "serial", [Entry(at * EVERY, word) for at, word in enumerate(words)], whole=True)


def _kept(vm: VirtualMachine, user, kind: str, entries: list[Entry], *, whole: bool) -> Recording:
    began = clock.now() - timedelta(minutes=5)
    length = EVERY * len(COLOURS)
    key, sealed = new_key()
    row = Recording.objects.create(
        session=uuid.uuid4(), user=user, user_name=str(user), vm=vm, vm_name=vm.name, key=sealed, began_at=began,
        ended_at=began + timedelta(milliseconds=length), why="finished", kind=kind,
    )  # fmt: skip
    packer = Packer(row.pk, key)
    data = packer.header + packer.pack(entries) + packer.finish(length)
    path = path_of(row.pk)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if whole else data[:-1])
    Recording.objects.filter(pk=row.pk).update(size_bytes=len(data))
    return row


def _painted(colour: tuple[int, int, int]) -> bytes:
    """One raw rectangle over all of the screen."""
    return struct.pack(">BxHHHHHi", 0, 1, 0, 0, WIDTH, HEIGHT, 0) + bytes((*colour, 0)) * (WIDTH * HEIGHT)


def frames(video: bytes, scratch: Path) -> tuple[list[Image.Image], dict[str, Any]]:
    """Every picture of a video as ffmpeg decodes it, and what ffprobe says."""
    path = scratch / "video"
    path.write_bytes(video)
    told = json.loads(subprocess.run(
        ["ffprobe", "-v", "error", "-show_format", "-show_packets", "-show_streams", "-of", "json", path],
        capture_output=True, check=True,
    ).stdout)  # fmt: skip
    size = (told["streams"][0]["width"], told["streams"][0]["height"])
    raw = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    length = size[0] * size[1] * 3
    return [Image.frombytes("RGB", size, raw[at : at + length]) for at in range(0, len(raw), length)], told


def far(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of a channel's value, of 255."""
    return max(ImageStat.Stat(ImageChops.difference(one, other)).mean)
