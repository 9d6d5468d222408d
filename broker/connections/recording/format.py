"""The file of a recording: what the machine sent to the screen and when, in chunks that are encrypted one by one.

    file   = "BERTHREC" version(1) recording(16) chunk*
    chunk  = length(4) kind(1) began(4) AES-256-GCM(zlib(entry*) or entry*)
    entry  = milliseconds(4) length(4) bytes

Numbers are big-endian; times are milliseconds since the recording began, `began` that of a chunk's first entry, in the
clear so that a reader can find a moment without opening what is before it. A chunk's nonce is its place in the file,
and its head and the file's are authenticated with it: nothing can be changed, left out, doubled, reordered or taken
from another recording. The last chunk says that it is the last; a file without it was cut off or never finished.

Each recording has a key of its own, used by one writer once, so that places as nonces never repeat under a key.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

MAGIC, VERSION = b"BERTHREC", 1
KEY_BYTES = 32
MOST_CHUNK = 32 * 1024 * 1024
"""No chunk is longer, packed or not: a damaged length or a bomb of zeros must not fill the memory."""
LONGEST = 2**32 - 1
_HEAD, _ENTRY = struct.Struct(">IBI"), struct.Struct(">II")
_TAG = 16
_PLAIN, _PACKED, _LAST = 0, 1, 2


class Damaged(ValueError):
    """The file is not what was written: changed, cut off, put together anew, or opened with another key."""


class Unfinished(Damaged):
    """What is there is genuine, but the end is missing."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the machine sent, and how many milliseconds after the beginning."""

    at: int
    data: bytes


class Packer:
    """Makes the bytes of a file, one piece after the other; the caller writes them."""

    def __init__(self, recording: UUID, key: bytes):
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._box, self._next = AESGCM(key), 0
        self.header = MAGIC + bytes([VERSION]) + recording.bytes

    def pack(self, entries: Iterable[Entry], *, compress: bool = True) -> bytes:
        """A chunk of these entries; b"" for none. Together they must be shorter than MOST_CHUNK."""
        taken = list(entries)
        if not taken:
            return b""
        plain = b"".join(part for one in taken for part in (_ENTRY.pack(one.at, len(one.data)), one.data))
        if len(plain) > MOST_CHUNK - _TAG:
            raise ValueError("too much for one chunk")
        packed = zlib.compress(plain, 1) if compress else plain
        if compress and len(packed) < len(plain):
            return self._seal(_PACKED, taken[0].at, packed)
        return self._seal(_PLAIN, taken[0].at, plain)

    def finish(self, at: int) -> bytes:
        """The last chunk: the recording ended at this time."""
        return self._seal(_LAST, at, b"")

    def _seal(self, kind: int, at: int, body: bytes) -> bytes:
        head = _HEAD.pack(len(body) + _TAG, kind, at)
        place, self._next = self._next, self._next + 1
        return head + self._box.encrypt(place.to_bytes(12, "big"), body, self.header + head)


def read(file: BinaryIO, recording: UUID, key: bytes) -> Iterator[Entry]:
    """All entries in order, an empty one at the time of the end last.

    What is yielded is genuine. Raises Damaged at the first chunk that is not, Unfinished where the file stops early.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = MAGIC + bytes([VERSION]) + recording.bytes
    if file.read(len(header)) != header:
        raise Damaged("this is not the file of this recording")
    box, place = AESGCM(key), 0
    while True:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise Unfinished("the end is missing")
        length, kind, at = _HEAD.unpack(head)
        if not _TAG <= length <= MOST_CHUNK:
            raise Damaged("a chunk has an impossible length")
        body = file.read(length)
        if len(body) < length:
            raise Unfinished("the end is missing")
        try:
            plain = box.decrypt(place.to_bytes(12, "big"), body, header + head)
        except InvalidTag:
            raise Damaged("a chunk was changed or moved") from None
        if kind == _LAST:
            if file.read(1):
                raise Damaged("something follows the end")
            yield Entry(at, b"")
            return
        yield from _entries(_unpacked(plain) if kind == _PACKED else plain)
        place += 1


def _unpacked(packed: bytes) -> bytes:
    machine = zlib.decompressobj()
    try:
        plain = machine.decompress(packed, MOST_CHUNK)
    except zlib.error:
        raise Damaged("a chunk cannot be unpacked") from None
    if not machine.eof:
        raise Damaged("a chunk is longer than any may be")
    return plain


def _entries(plain: bytes) -> Iterator[Entry]:
    position = 0
    while position < len(plain):
        if position + _ENTRY.size > len(plain):
            raise Damaged("a chunk ends within an entry")
        at, length = _ENTRY.unpack_from(plain, position)
        position += _ENTRY.size
        if position + length > len(plain):
            raise Damaged("a chunk ends within an entry")
        yield Entry(at, plain[position : position + length])
        position += length
