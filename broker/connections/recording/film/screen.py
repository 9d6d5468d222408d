"""What the machine sent, message by message, painted on a canvas.

Understood is what the console's page asks for and a hypervisor answers: pixels of 32 bits, red first, in the encodings
Tight, raw and copied rectangles, and the encodings that carry no pixels. The pointer's shape is left out: where the
pointer was is not in a recording.
"""

from . import Unreadable
from .canvas import Box, Canvas
from .source import Over, Source
from .tight import Tight

_RAW, _COPY, _TIGHT, _TIGHT_PNG = 0, 1, 7, -260
_SIZE, _LAST, _CURSOR, _NAME, _EXTENDED_SIZE, _LED = -223, -224, -239, -307, -308, -261
_VMWARE_CURSOR = 0x574D5664
_EMPTY = frozenset({-257, -258, -259})
_TEXT_LIMIT = 64 * 1024 * 1024
# message type → bytes after it
_FIXED = {2: 0, 150: 0, 250: 3}


class Screen:
    """`play` follows the recording to its end."""

    def __init__(self, source: Source, canvas: Canvas):
        self._source, self._canvas = source, canvas
        self._tight = Tight(source, canvas)

    def play(self) -> None:
        """Raises Unreadable, Damaged."""
        try:
            width, height, *_, length = self._source.numbers("HH16BI")
            self._canvas.resize(width, height)
            self._text(length)
            while True:
                self._message(self._source.number("B"))
        except Over:
            return

    def _message(self, kind: int) -> None:
        if kind == 0:
            self._update()
        elif kind == 1:
            _, _, count = self._source.numbers("BHH")
            self._source.skip(6 * count)
        elif kind == 3:
            self._text(abs(self._source.numbers("3Bi")[-1]))
        elif kind == 248:
            self._source.skip(7)
            self._source.skip(self._source.number("B"))
        elif kind in _FIXED:
            self._source.skip(_FIXED[kind])
        else:
            raise Unreadable("an unknown message")

    def _update(self) -> None:
        _, count = self._source.numbers("BH")
        for _ in range(count):
            *place, encoding = self._source.numbers("HHHHi")
            if encoding == _LAST:
                return
            box: Box = (place[0], place[1], place[2], place[3])
            if not self._tells(box, encoding):
                self._pixels(box, encoding)

    def _tells(self, box: Box, encoding: int) -> bool:
        """Whether it is no rectangle of pixels."""
        width, height = box[2:]
        if encoding in (_SIZE, _EXTENDED_SIZE):
            if encoding == _EXTENDED_SIZE:
                screens, *_ = self._source.numbers("4B")
                self._source.skip(16 * screens)
            # A wish of the page's own (x = 1) that was refused for a reason (y): the size is as it was.
            refused = encoding == _EXTENDED_SIZE and box[0] == 1 and box[1]
            if not refused and (width, height) != (self._canvas.width, self._canvas.height):
                self._canvas.resize(width, height)
        elif encoding == _CURSOR:
            self._source.skip(width * height * 4 + (width + 7) // 8 * height)
        elif encoding == _VMWARE_CURSOR:
            self._source.skip(width * height * (4 if self._source.numbers("BB")[0] else 8))
        elif encoding == _NAME:
            self._text(self._source.number("I"))
        elif encoding == _LED:
            self._source.skip(1)
        elif encoding not in _EMPTY:
            return False
        return True

    def _pixels(self, box: Box, encoding: int) -> None:
        self._canvas.check(box)
        if encoding == _RAW:
            data = self._source.take(box[2] * box[3] * 4)
            if data and not self._canvas.blind:
                self._canvas.paint(box, data, "RGBX")
        elif encoding == _COPY:
            x, y = self._source.numbers("HH")
            self._canvas.copy(box, x, y)
        elif encoding in (_TIGHT, _TIGHT_PNG):
            self._tight.rectangle(box)
        else:
            raise Unreadable("an unknown encoding")

    def _text(self, length: int) -> None:
        if length > _TEXT_LIMIT:
            raise Unreadable("a text without end")
        self._source.skip(length)
