"""A finished recording for tests of the pages: what a screen of one colour after another says, in a real file."""

import struct
import uuid
from datetime import timedelta

from broker.connections.models import Recording
from broker.connections.recording.files import new_key, path_of
from broker.connections.recording.format import Entry, Packer
from broker.core import clock
from broker.virt.models import VirtualMachine

WIDTH, HEIGHT = 64, 48
COLOURS = ((0xF0, 0x20, 0x20), (0x20, 0xF0, 0x20), (0x20, 0x80, 0xF0))
EVERY = 20_000
"""Milliseconds after which the screen takes the next colour; it ends as long after the last."""
_FORMAT = struct.pack(">BBBBHHHBBB3x", 32, 24, 0, 1, 255, 255, 255, 0, 8, 16)


def coloured(vm: VirtualMachine, user, *, whole: bool = True) -> Recording:
    """The first colour at once, the guest's clipboard in the middle of the second."""
    began = clock.now() - timedelta(minutes=5)
    length = EVERY * len(COLOURS)
    key, sealed = new_key()
    row = Recording.objects.create(
        session=uuid.uuid4(), user=user, user_name=str(user), vm=vm, vm_name=vm.name, key=sealed, began_at=began,
        ended_at=began + timedelta(milliseconds=length), why="finished",
    )  # fmt: skip
    entries = [Entry(0, struct.pack(">HH", WIDTH, HEIGHT) + _FORMAT + struct.pack(">I", 4) + b"fake")]
    for number, colour in enumerate(COLOURS):
        entries.append(Entry(number * EVERY + 5, _painted(colour)))
        if number == 1:
            entries.append(Entry(number * EVERY + 10_000, struct.pack(">B3xI", 3, 4) + b"text"))
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
