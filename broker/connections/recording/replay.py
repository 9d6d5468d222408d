"""A recording as a stream in the format of rfbproxy ("FBS 001.000"), which players of VNC sessions read.

A line with the version, then blocks: length(4), bytes filled up to a multiple of four, milliseconds(4).
"""

import struct
from collections.abc import Generator
from typing import BinaryIO
from uuid import UUID

from .format import Unfinished, read

MEDIA_TYPE = "application/vnd.rfb-session"
VERSION = b"FBS 001.000\n"
_PIECE = 256 * 1024
HANDSHAKE = b"RFB 003.003\n" + struct.pack(">I", 1)
"""What a server of the oldest protocol says first: no security. The gateway speaks this part itself with machine and
browser, so it is not in the file."""


def blocks(file: BinaryIO, recording: UUID, key: bytes, *, whole: bool) -> Generator[bytes, None, None]:
    """The stream, piece by piece; closes the file. With `whole`, raises Unfinished where the end is missing.

    Raises Damaged in any case at what is not genuine.
    """
    with file:
        piece = VERSION + _block(0, HANDSHAKE)
        try:
            for entry in read(file, recording, key):
                piece += _block(entry.at, entry.data)
                if len(piece) >= _PIECE:
                    yield piece
                    piece = b""
        except Unfinished:
            if whole:
                raise
        if piece:
            yield piece


def _block(at: int, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data + bytes(-len(data) % 4) + struct.pack(">I", at)
