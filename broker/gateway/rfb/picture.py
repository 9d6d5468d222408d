"""When the first picture went to the browser: the moment for which somebody has waited.

Looks at what the machine sends until the first rectangle of pixels, then at nothing more. Layouts are those of RFC 6143
(7.3.2, 7.6, 7.7) and of the community specification for pseudo-encodings, which carry no pixels.
"""

import struct
import time

# By then pixels have come, whatever else was among it; a machine that says nothing a million times is not listened to.
_MOST_LOOKED_AT = 64 * 1024
_SERVER_INIT = 24
# message type → bytes before its text, of which the last four are the text's length
_WITH_TEXT = {3: 8}
_FIXED = {2: 1, 150: 1}
_COLOURS, _FENCE, _UPDATE = 1, 248, 0
# Pseudo-encodings without a payload: size, pointer kind, keyboard, audio.
_EMPTY = frozenset({-223, -224, -257, -258, -259})
_EXTENDED_SIZE, _LED, _NAME = -308, -261, -307
_SIZES = {_LED: 1}


class FirstPicture:
    """`after`: seconds from the knock at the door (when this was made) to the first picture; None until then."""

    __slots__ = ("_begun", "_buffer", "_initialised", "_rectangles", "_seen", "_watching", "after")

    def __init__(self) -> None:
        self.after: float | None = None
        self._begun = time.monotonic()
        self._buffer = bytearray()
        self._initialised, self._watching = False, True
        self._rectangles = self._seen = 0

    def look_away(self) -> None:
        """What comes is no picture: `after` stays None."""
        self._watching = False

    def saw(self, data: bytes) -> int:
        """Look at what the machine sent; returns how many bytes that were."""
        if self.after is None and self._watching:
            self._buffer += data
            self._seen += len(data)
            if self._seen > _MOST_LOOKED_AT or self._pixels():
                self.after = time.monotonic() - self._begun
                self._buffer = bytearray()
        return len(data)

    def _pixels(self) -> bool:
        """Whether pixels have begun; takes off the buffer what is none."""
        while True:
            size = self._next()
            if size is None:
                return True
            if not 0 < size <= len(self._buffer):
                return False
            del self._buffer[:size]

    def _next(self) -> int | None:
        """The length of the next part: 0 when that cannot be told yet, None when it is pixels or nothing known."""
        buffer = self._buffer
        if not self._initialised:
            if len(buffer) < _SERVER_INIT:
                return 0
            size = _SERVER_INIT + struct.unpack_from(">I", buffer, 20)[0]
            self._initialised = len(buffer) >= size
            return int(size)
        if self._rectangles:
            return self._rectangle()
        return self._message() if buffer else 0

    def _message(self) -> int | None:
        buffer, kind = self._buffer, self._buffer[0]
        if kind == _UPDATE:
            if len(buffer) < 4:
                return 0
            self._rectangles = struct.unpack_from(">H", buffer, 2)[0]
            return 4
        if kind in _FIXED:
            return _FIXED[kind]
        if kind in _WITH_TEXT:
            # The extended clipboard writes its length as a negative number.
            return 8 + abs(struct.unpack_from(">i", buffer, 4)[0]) if len(buffer) >= 8 else 0
        if kind == _FENCE:
            return 9 + buffer[8] if len(buffer) >= 9 else 0
        if kind == _COLOURS:
            return 6 + 6 * struct.unpack_from(">H", buffer, 4)[0] if len(buffer) >= 6 else 0
        return None

    def _rectangle(self) -> int | None:
        """A rectangle's header, and the payload of those that are no pixels."""
        buffer = self._buffer
        if len(buffer) < 12:
            return 0
        encoding = struct.unpack_from(">i", buffer, 8)[0]
        if encoding in _EMPTY:
            size = 12
        elif encoding in _SIZES:
            size = 12 + _SIZES[encoding]
        elif encoding == _EXTENDED_SIZE and len(buffer) > 12:
            size = 16 + 16 * buffer[12]
        elif encoding == _NAME and len(buffer) >= 16:
            size = 16 + struct.unpack_from(">I", buffer, 12)[0]
        elif encoding in (_EXTENDED_SIZE, _NAME):
            return 0
        else:
            return None
        if len(buffer) < size:
            return 0
        self._rectangles -= 1
        return size
