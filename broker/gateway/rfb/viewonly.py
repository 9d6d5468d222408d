"""View-only and the clipboard's ways, enforced on the wire: what a browser may not send reaches no hypervisor.

Text comes out of a machine only when the browser asks for it (QEMU has the extended clipboard alone), so this one
direction decides both.

View-only drops keys, pointer, clipboard, resizing, power buttons (xvp). An unknown message cannot be skipped, for
its length is unknown, so it ends the console.
"""

import struct

from . import RfbError

SET_PIXEL_FORMAT, SET_ENCODINGS, UPDATE_REQUEST, KEY, POINTER, CUT_TEXT = 0, 2, 3, 4, 5, 6
CONTINUOUS_UPDATES, FENCE, XVP, SET_DESKTOP_SIZE, QEMU = 150, 248, 250, 251, 255
EXTENDED_MOUSE_BUTTONS = -316
_MAX_ENCODINGS = 1024
_MAX_CUT_TEXT = 64 * 1024 * 1024
# Actions of the extended clipboard, in the upper byte of its flags.
_REQUEST, _NOTIFY, _PROVIDE = 1 << 25, 1 << 27, 1 << 28
_PASS = True
_ASKS = {SET_PIXEL_FORMAT: 20, UPDATE_REQUEST: 10, CONTINUOUS_UPDATES: 10}
_INPUTS = {KEY: 8, POINTER: 6, XVP: 4}


class ViewOnlyFilter:
    """`feed` the bytes that follow ClientInit; it returns those to forward.

    `control`: keys and the like pass. `paste`: text may go to the machine; `copy`: it may come from there.
    At most one incomplete message (4 KiB) is held back; a clipboard text passes or is skipped without being held.
    """

    def __init__(self, *, control: bool = False, paste: bool = False, copy: bool = False) -> None:
        self.dropped = 0
        self._control, self._paste, self._copy = control, paste, copy
        self._buffer = bytearray()
        self._skip = self._through = 0

    @property
    def held(self) -> int:
        """Bytes waiting for the rest of their message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> bytes:
        """Raises RfbError when the stream cannot be followed any more."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        passed = bytearray()
        if self._through:
            passed += data[: self._through]
            data, self._through = data[self._through :], max(self._through - len(data), 0)
        self._buffer += data
        start = 0
        while start < len(self._buffer):
            measured = self._measure(memoryview(self._buffer)[start : start + 16])
            if measured is None:
                break
            length, verdict = measured
            available = len(self._buffer) - start
            if available < length:
                if self._buffer[start] != CUT_TEXT:
                    break
                rest, length = length - available, available
                self._skip, self._through = (0, rest) if verdict else (rest, 0)
            if verdict:
                passed += self._cleaned(bytes(self._buffer[start : start + length]))
            else:
                self.dropped += 1
            start += length
        del self._buffer[:start]
        return bytes(passed)

    def _measure(self, head: memoryview) -> tuple[int, bool] | None:
        kind, known = head[0], len(head)
        if kind in _ASKS:
            return _ASKS[kind], _PASS
        if kind in _INPUTS:
            return _INPUTS[kind], self._control
        if kind == SET_ENCODINGS:
            if known < 4:
                return None
            count = struct.unpack_from(">H", head, 2)[0]
            if count > _MAX_ENCODINGS:
                raise RfbError("too many encodings")
            return 4 + 4 * count, _PASS
        if kind == CUT_TEXT:
            return self._measure_text(head)
        if kind == FENCE:
            if known < 9:
                return None
            if head[8] > 64:
                raise RfbError("fence too long")
            return 9 + head[8], _PASS
        if kind == SET_DESKTOP_SIZE:
            return None if known < 7 else (8 + 16 * head[6], self._control)
        if kind == QEMU:
            return self._measure_qemu(head)
        raise RfbError(f"unknown message {kind}")

    def _measure_text(self, head: memoryview) -> tuple[int, bool] | None:
        if len(head) < 8:
            return None
        told = struct.unpack_from(">i", head, 4)[0]
        length = abs(told)
        if length > _MAX_CUT_TEXT:
            raise RfbError("clipboard text without end")
        if told >= 0:
            return 8 + length, self._paste
        # A negative length marks the extended clipboard message of that size.
        if length < 4:
            raise RfbError("an extended clipboard message without flags")
        if len(head) < 12:
            return None
        flags = struct.unpack_from(">I", head, 8)[0]
        forbidden = (0 if self._copy else _REQUEST) | (0 if self._paste else _NOTIFY | _PROVIDE)
        return 8 + length, not flags & forbidden and (self._copy or self._paste)

    def _measure_qemu(self, head: memoryview) -> tuple[int, bool] | None:
        if len(head) < 4:
            return None
        submessage, operation = head[1], struct.unpack_from(">H", head, 2)[0]
        if submessage == 0:
            return 12, self._control
        if submessage == 1 and operation in (0, 1):
            return 4, _PASS
        if submessage == 1 and operation == 2:
            return 10, _PASS
        raise RfbError(f"unknown QEMU message {submessage}")

    @staticmethod
    def _cleaned(message: bytes) -> bytes:
        """Without the offer of extended mouse buttons: it would make pointer messages one byte longer."""
        if message[0] != SET_ENCODINGS:
            return message
        count = struct.unpack_from(">H", message, 2)[0]
        kept = [code for code in struct.unpack_from(f">{count}i", message, 4) if code != EXTENDED_MOUSE_BUTTONS]
        return struct.pack(f">BxH{len(kept)}i", SET_ENCODINGS, len(kept), *kept)
