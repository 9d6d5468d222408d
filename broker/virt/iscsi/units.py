"""The LUNs of a target: which there are and how large, and reading and writing on one."""

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from broker.core.text import gettext_noop
from broker.virt.driver import Locked, Refused, StorageSilent

from .session import Session

_GOOD, _CHECK, _BUSY, _CONFLICT, _FULL = 0x00, 0x02, 0x08, 0x18, 0x28
_UNIT_ATTENTION = 6
_TRIES = 5  # after something changed on it, a LUN says so once to each command's kind before it obeys
_AT_ONCE = 64 << 10
_PATIENCE = 15.0  # seconds for which another holder of a LUN is waited for


@dataclass(frozen=True, slots=True)
class Unit:
    """A LUN: `block` is the size of its sectors."""

    lun: int
    size: int
    block: int


def units(session: Session) -> tuple[Unit, ...]:
    """The disks among the target's LUNs, in their order."""
    numbers = struct.unpack_from(">I", told := _obey(session, 0, _reports(4096), room=4096))[0] // 8
    found = []
    for index in range(min(numbers, 511)):
        first, second = told[8 + index * 8], told[9 + index * 8]
        lun = second if first < 0x40 else (first & 0x3F) << 8 | second
        if _obey(session, lun, b"\x12\0\0\0\x24\0", room=36)[0] & 0x1F == 0:
            found.append(_measure(session, lun))
    return tuple(sorted(found, key=lambda one: one.lun))


def _reports(room: int) -> bytes:
    return struct.pack(">B5xI2x", 0xA0, room)


def _measure(session: Session, lun: int) -> Unit:
    told = _obey(session, lun, struct.pack(">BB8xI2x", 0x9E, 0x10, 32), room=32)
    last, block = struct.unpack_from(">QI", told)
    return Unit(lun, (last + 1) * block, block)


def read(session: Session, unit: Unit, place: int, count: int) -> bytes:
    """Bytes of a LUN; `place` and `count` are whole blocks."""
    data = bytearray()
    while len(data) < count:
        size = min(_AT_ONCE, count - len(data))
        command = struct.pack(">BBQI2x", 0x88, 0, (place + len(data)) // unit.block, size // unit.block)
        data += _obey(session, unit.lun, command, room=size)
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
        _obey(session, unit.lun, command, data=piece)


def flush(session: Session, unit: Unit) -> None:
    _obey(session, unit.lun, bytes([0x35]) + bytes(9))


@contextmanager
def held(session: Session, unit: Unit) -> Iterator[None]:
    """A block in which nobody else reads or writes the LUN. It ends with the session, too: no dead holder stays."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            _obey(session, unit.lun, bytes([0x16, 0, 0, 0, 0, 0]))
            break
        except Locked:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    try:
        yield
    finally:
        with suppress(StorageSilent):  # the end of the session was the end of the reservation
            _obey(session, unit.lun, bytes([0x17, 0, 0, 0, 0, 0]))


def _obey(session: Session, lun: int, command: bytes, *, data: bytes = b"", room: int = 0) -> bytes:
    for _ in range(_TRIES):
        status, answer, sense = session.ask(lun, command, data=data, room=room)
        if status == _GOOD:
            return answer
        if status in (_CONFLICT, _BUSY, _FULL):
            raise Locked(
                gettext_noop("LUN %(lun)s of %(target)s is held by somebody else."),
                fix=gettext_noop("Try again; if it stays so, look who else uses the target."),
                lun=lun, target=session.target,
            )  # fmt: skip
        key = sense[2] & 0x0F if len(sense) > 2 else 0
        if status != _CHECK or key != _UNIT_ATTENTION:
            break
    code = sense[:14].hex()
    raise Refused(
        gettext_noop("LUN %(lun)s of %(target)s refuses command %(command)s (sense %(sense)s)."),
        fix=gettext_noop("Look into the log of the target."),
        lun=lun, target=session.target, command=f"{command[0]:02x}", sense=code,
    )  # fmt: skip
