"""The recording of a serial line as an asciicast (version 2), which players of terminal sessions read.

A line of JSON that tells the size, then one for each piece of text: seconds, "o" for output, the text. The gateway kept
the frames that the keeper of lines sent (see virt.serial.wire); what they tell about the line itself is left out here.
"""

import codecs
import json
from collections.abc import Generator, Iterator
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from broker.virt.serial import wire

from .format import Unfinished, read

MEDIA_TYPE = "application/x-asciicast"
COLUMNS, ROWS = 80, 24
_PIECE = 64 * 1024


def lines(file: BinaryIO, recording: UUID, key: bytes, *, whole: bool, began: datetime) -> Generator[bytes, None, None]:
    """The stream, piece by piece; closes the file. With `whole`, raises Unfinished where the end is missing.

    Raises Damaged in any case at what is not genuine. The last line tells when it ended and has no text.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    head = {"version": 2, "width": COLUMNS, "height": ROWS, "timestamp": int(began.timestamp())}
    with file:
        piece, waiting, at = json.dumps(head) + "\n", bytearray(), 0
        try:
            for entry in read(file, recording, key):
                at = entry.at
                waiting += entry.data
                if text := decoder.decode(b"".join(_texts(waiting))):
                    piece += _line(at, text)
                if len(piece) >= _PIECE:
                    yield piece.encode()
                    piece = ""
        except Unfinished:
            if whole:
                raise
        yield (piece + _line(at, "")).encode()


def _texts(waiting: bytearray) -> Iterator[bytes]:
    """What the machine wrote, out of the frames that are whole; they are taken away."""
    while len(waiting) >= wire.HEADER:
        end = wire.HEADER + int.from_bytes(waiting[1 : wire.HEADER], "big")
        if len(waiting) < end:
            return
        if waiting[:1] == wire.DATA:
            yield bytes(waiting[wire.HEADER : end])
        del waiting[:end]


def _line(at: int, text: str) -> str:
    return json.dumps([at / 1000, "o", text]) + "\n"
