"""Pictures with their times as ffmpeg reads them from a pipe: Matroska with one track that is not compressed.

A film of a screen has few pictures and long pauses; a pipe of bare pictures would need one for each moment.
"""

import struct
from typing import IO

_LONGEST = (1 << 7 * 8) - 1


def _size(value: int) -> bytes:
    for length in range(1, 9):
        if value < (1 << 7 * length) - 1:
            return (value | 1 << 7 * length).to_bytes(length, "big")
    raise ValueError("too long")


def _element(kind: bytes, body: bytes) -> bytes:
    return kind + _size(len(body)) + body


def _number(kind: bytes, value: int) -> bytes:
    return _element(kind, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


class Writer:
    """`write` one picture after the other: RGB, three bytes a pixel; times are milliseconds and only grow."""

    def __init__(self, file: IO[bytes], width: int, height: int, *, every: int):
        """`every`: no two pictures are nearer to each other."""
        self._file = file
        video = _number(b"\xb0", width) + _number(b"\xba", height) + _element(b"\x2e\xb5\x24", b"RGB\x18")
        track = (
            _number(b"\xd7", 1) + _number(b"\x73\xc5", 1) + _number(b"\x83", 1)
            + _number(b"\x23\xe3\x83", every * 1_000_000)
            + _element(b"\x86", b"V_UNCOMPRESSED") + _element(b"\xe0", video)
        )  # fmt: skip
        file.write(
            _element(b"\x1aE\xdf\xa3", _element(b"\x42\x82", b"matroska") + _number(b"\x42\x87", 4))
            + b"\x18S\x80g" + (_LONGEST | 1 << 7 * 8).to_bytes(8, "big")
            + _element(b"\x15I\xa9f", _number(b"\x2a\xd7\xb1", 1_000_000))
            + _element(b"\x16T\xaek", _element(b"\xae", track))
        )  # fmt: skip

    def write(self, at: int, picture: bytes) -> None:
        time = _number(b"\xe7", at)
        head = _size(1) + struct.pack(">hB", 0, 0x80)
        block = b"\xa3" + _size(len(head) + len(picture)) + head
        self._file.write(b"\x1fC\xb6u" + _size(len(time) + len(block) + len(picture)) + time + block)
        self._file.write(picture)
