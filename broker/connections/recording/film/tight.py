"""Rectangles in the Tight encoding and its variant with PNG, as the community RFB specification describes them."""

import zlib
from typing import Any

from . import Unreadable
from .canvas import Box, Canvas, unmixed
from .source import Source

_UNPACKED = 12
"""Shorter pixels are sent without being compressed."""
_FILL, _JPEG, _PNG = 8, 9, 10
_COPY, _PALETTE, _GRADIENT = 0, 1, 2


class Tight:
    """Keeps the four compressed streams that go on from one rectangle to the next."""

    def __init__(self, source: Source, canvas: Canvas):
        self._source, self._canvas = source, canvas
        self._streams: list[Any] = [None] * 4

    def rectangle(self, box: Box) -> None:
        control = self._source.number("B")
        for number in range(4):
            if control >> number & 1:
                self._streams[number] = None
        kind = control >> 4
        if kind == _FILL:
            colour = self._source.take(3)
            if not self._canvas.blind:
                self._canvas.fill(box, colour)
        elif kind in (_JPEG, _PNG):
            data = self._source.take(self._length())
            if not self._canvas.blind:
                self._canvas.paint_file(box, data, "JPEG" if kind == _JPEG else "PNG")
        elif kind < _FILL:
            self._basic(box, kind)
        else:
            raise Unreadable("an unknown kind of compression")

    def _basic(self, box: Box, kind: int) -> None:
        width, height = box[2:]
        what = self._source.number("B") if kind & 4 else _COPY
        colours = b""
        row = width * 3
        if what == _PALETTE:
            colours = self._source.take(3 * (self._source.number("B") + 1))
            row = (width + 7) // 8 if len(colours) == 6 else width
        elif what not in (_COPY, _GRADIENT):
            raise Unreadable("an unknown filter")
        data = self._pixels(kind & 3, row * height)
        if self._canvas.blind or not data:
            return
        if what == _COPY:
            self._canvas.paint(box, data)
        elif what == _GRADIENT:
            self._canvas.paint(box, unmixed(width, height, data))
        elif len(colours) == 6:
            self._canvas.paint_two(box, colours, data)
        else:
            self._canvas.paint_indexed(box, colours, data)

    def _pixels(self, stream: int, size: int) -> bytes:
        if size < _UNPACKED:
            return self._source.take(size)
        packed = self._source.take(self._length())
        if self._canvas.blind:
            return b""
        if self._streams[stream] is None:
            self._streams[stream] = zlib.decompressobj()
        try:
            data: bytes = self._streams[stream].decompress(packed, size)
        except zlib.error as error:
            raise Unreadable("pixels that cannot be unpacked") from error
        if len(data) != size:
            raise Unreadable("fewer pixels than the rectangle has")
        return data

    def _length(self) -> int:
        """Seven bits a byte, the lowest first; of the third byte all eight."""
        length = 0
        for shift in (0, 7, 14):
            byte = self._source.number("B")
            length |= (byte if shift == 14 else byte & 127) << shift
            if byte < 128:
                break
        return length
