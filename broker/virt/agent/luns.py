"""The LUNs of a target: which there are and how large, reading and writing on one, and having one to oneself.

Sources: SPC-2 and SBC-3 (the SCSI commands).
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .target import Session

_GOOD, _CHECK, _BUSY, _CONFLICT, _FULL = 0x00, 0x02, 0x08, 0x18, 0x28
_UNIT_ATTENTION = 6
_RESET = 0x29
_TRIES = 5  # after something changed on it, a LUN says so once to each command's kind before it obeys
_AT_ONCE = 64 << 10


@dataclass(frozen=True, slots=True)
class Unit:
    """A LUN: `block` is the size of its sectors."""

    lun: int
    size: int
    block: int


def units(session: Session) -> tuple[Unit, ...]:
    """The disks among the target's LUNs, in their order."""
    return tuple(measured(session, lun) for lun in numbers(session))


def numbers(session: Session) -> tuple[int, ...]:
    """The numbers of the target's disks, the lowest first; no disk is asked for more than what it is."""
    count = struct.unpack_from(">I", told := obey(session, 0, _reports(4096), room=4096))[0] // 8
    found = []
    for index in range(min(count, 511)):
        first, second = told[8 + index * 8], told[9 + index * 8]
        lun = second if first < 0x40 else (first & 0x3F) << 8 | second
        if obey(session, lun, b"\x12\0\0\0\x24\0", room=36)[0] & 0x1F == 0:
            found.append(lun)
    return tuple(sorted(found))


def _reports(room: int) -> bytes:
    return struct.pack(">B5xI2x", 0xA0, room)


def measured(session: Session, lun: int) -> Unit:
    told = obey(session, lun, struct.pack(">BB8xI2x", 0x9E, 0x10, 32), room=32)
    last, block = struct.unpack_from(">QI", told)
    return Unit(lun, (last + 1) * block, block)


def read(session: Session, unit: Unit, place: int, count: int) -> bytes:
    """Bytes of a LUN; `place` and `count` are whole blocks."""
    data = bytearray()
    while len(data) < count:
        size = min(_AT_ONCE, count - len(data))
        command = struct.pack(">BBQI2x", 0x88, 0, (place + len(data)) // unit.block, size // unit.block)
        data += obey(session, unit.lun, command, room=size)
    return bytes(data)


def write(session: Session, unit: Unit, place: int, data: bytes) -> None:
    """Put bytes on a LUN, for good: they are past all caches afterwards. What misses of a whole block is zeroes."""
    put(session, unit, place, data)
    flush(session, unit)


def put(session: Session, unit: Unit, place: int, data: bytes) -> None:
    """The same, but that they may still be in a cache of the target."""
    data += bytes(-len(data) % unit.block)
    for begin in range(0, len(data), _AT_ONCE):
        piece = data[begin : begin + _AT_ONCE]
        command = struct.pack(">BBQI2x", 0x8A, 0, (place + begin) // unit.block, len(piece) // unit.block)
        obey(session, unit.lun, command, data=piece)


def flush(session: Session, unit: Unit) -> None:
    obey(session, unit.lun, bytes([0x35]) + bytes(9))


@contextmanager
def reserved(session: Session, unit: Unit) -> Iterator[None]:
    """A block in which nobody else reads or writes the LUN. It ends with the session, too: no dead holder stays."""
    obey(session, unit.lun, bytes([0x16, 0, 0, 0, 0, 0]))
    session.holds.add(unit.lun)
    try:
        yield
    finally:
        session.holds.discard(unit.lun)
        obey(session, unit.lun, bytes([0x17, 0, 0, 0, 0, 0]))


def obey(session: Session, lun: int, command: bytes, *, data: bytes = b"", room: int = 0) -> bytes:
    """Have a LUN do a command; what it reads."""
    for _ in range(_TRIES):
        status, answer, sense = session.ask(lun, command, data=data, room=room)
        if status == _GOOD:
            return answer
        if status in (_CONFLICT, _BUSY, _FULL):
            raise session.when_held(lun)
        key, reason = (sense[2] & 0x0F, sense[12]) if len(sense) > 12 else (0, 0)
        if key == _UNIT_ATTENTION and reason == _RESET and lun in session.holds:
            raise session.when_held(lun)  # we kept it for so long that it was taken from us
        if status != _CHECK or key != _UNIT_ATTENTION:
            break
    raise session.when_refused(lun, command, sense)
