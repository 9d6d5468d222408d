"""The client half of the RFB handshake, spoken to the hypervisor.

On a unix socket the security type must be None (the gateway and the hypervisor are one machine and the
file's owner is the lock). Over TCP it must be VeNCrypt with sub-type X509None: TLS with certificates on both
sides. Nothing weaker is ever accepted, so a man in the middle cannot talk the gateway down. A physical PC has no
certificate of ours: it is asked for VNC authentication where its password is known, else for None, and for no other.
"""

import re
import struct
from enum import Enum, auto

from . import RfbError
from .password import CHALLENGE, response

VERSION = b"RFB 003.008\n"
NONE, VNC_PASSWORD, VENCRYPT = 1, 2, 19
X509_NONE = 260
_MAX_REASON = 4096
_MAX_BUFFER = 8192


class Stage(Enum):
    """What the next bytes from the hypervisor are."""

    VERSION = auto()
    TYPES = auto()
    VENCRYPT_VERSION = auto()
    VENCRYPT_ACK = auto()
    SUBTYPES = auto()
    SUBTYPE_ACK = auto()
    CHALLENGE = auto()
    TLS = auto()
    RESULT = auto()
    DONE = auto()


class HypervisorHandshake:
    """Feed it what the hypervisor sends, send on what it returns.

    When `stage` becomes TLS, wrap the connection and call `tls_started`. When it becomes DONE, security is
    settled: the next thing to send is ClientInit, and `rest` holds what came early (nothing, if all is well).
    """

    def __init__(self, *, tls: bool, password: str | None = None):
        """`password`: of a physical PC, empty where it wants none; None for a hypervisor."""
        self.tls, self.stage, self.rest = tls, Stage.VERSION, b""
        self._password = password
        self._buffer = bytearray()
        self._steps = {
            Stage.VERSION: self._version,
            Stage.TYPES: self._types,
            Stage.VENCRYPT_VERSION: self._vencrypt_version,
            Stage.VENCRYPT_ACK: self._vencrypt_ack,
            Stage.SUBTYPES: self._subtypes,
            Stage.SUBTYPE_ACK: self._subtype_ack,
            Stage.CHALLENGE: self._challenge,
            Stage.RESULT: self._result,
        }

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the hypervisor; returns bytes to send to it. Raises RfbError."""
        if len(self._buffer) + len(data) > _MAX_BUFFER:
            raise RfbError("the handshake is too long")
        self._buffer += data
        answer = bytearray()
        while step := self._steps.get(self.stage):
            before = self.stage
            answer += step()
            if self.stage is before:
                break
        if self.stage is Stage.TLS and self._buffer:
            # Clear text behind the request for TLS would be taken for protected text: an injection.
            raise RfbError("bytes came before TLS")
        if self.stage is Stage.DONE and self._buffer:
            self.rest += bytes(self._buffer)
            self._buffer.clear()
        return bytes(answer)

    def tls_started(self) -> None:
        """The connection is wrapped now; go on with the security result."""
        if self.stage is not Stage.TLS:
            raise RfbError("TLS was not asked for")
        self.stage = Stage.RESULT

    def _take(self, count: int) -> bytes | None:
        if len(self._buffer) < count:
            return None
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _version(self) -> bytes:
        if (line := self._take(12)) is None:
            return b""
        match = re.fullmatch(rb"RFB (\d{3})\.(\d{3})\n", line)
        # RealVNC's servers say 4 or 5, and speak 3.8 with who asks for it.
        newest = (3,) if self._password is None else (3, 4, 5)
        if not match or int(match[1]) not in newest or (int(match[1]) == 3 and int(match[2]) < 8):
            raise RfbError("not an RFB 3.8 server")
        self.stage = Stage.TYPES
        return VERSION

    def _types(self) -> bytes:
        if not self._buffer:
            return b""
        count = self._buffer[0]
        if count == 0:
            return self._refused(offset=1)
        if len(self._buffer) < 1 + count:
            return b""
        offered = self._take(1 + count) or b""
        wanted = VENCRYPT if self.tls else VNC_PASSWORD if self._password else NONE
        if wanted not in offered[1:]:
            raise RfbError("the security type that is configured is not offered")
        self.stage = {VENCRYPT: Stage.VENCRYPT_VERSION, VNC_PASSWORD: Stage.CHALLENGE}.get(wanted, Stage.RESULT)
        return bytes([wanted])

    def _vencrypt_version(self) -> bytes:
        if (version := self._take(2)) is None:
            return b""
        if version < b"\x00\x02":
            raise RfbError("VeNCrypt older than 0.2")
        self.stage = Stage.VENCRYPT_ACK
        return b"\x00\x02"

    def _vencrypt_ack(self) -> bytes:
        if (ack := self._take(1)) is None:
            return b""
        if ack != b"\x00":
            raise RfbError("VeNCrypt 0.2 was refused")
        self.stage = Stage.SUBTYPES
        return b""

    def _subtypes(self) -> bytes:
        if not self._buffer or len(self._buffer) < 1 + 4 * self._buffer[0]:
            return b""
        count = self._buffer[0]
        offered = struct.unpack(f">{count}I", (self._take(1 + 4 * count) or b"")[1:])
        if X509_NONE not in offered:
            raise RfbError("TLS with certificates is not offered")
        self.stage = Stage.SUBTYPE_ACK
        return struct.pack(">I", X509_NONE)

    def _subtype_ack(self) -> bytes:
        if (ack := self._take(1)) is None:
            return b""
        if ack != b"\x01":
            raise RfbError("TLS with certificates was refused")
        self.stage = Stage.TLS
        return b""

    def _challenge(self) -> bytes:
        if (challenge := self._take(CHALLENGE)) is None:
            return b""
        self.stage = Stage.RESULT
        return response(self._password or "", challenge)

    def _result(self) -> bytes:
        if len(self._buffer) < 4:
            return b""
        if struct.unpack_from(">I", self._buffer)[0] != 0:
            return self._refused(offset=4)
        self._take(4)
        self.stage = Stage.DONE
        return b""

    def _refused(self, offset: int) -> bytes:
        if len(self._buffer) < offset + 4:
            return b""
        length = struct.unpack_from(">I", self._buffer, offset)[0]
        if length > _MAX_REASON:
            raise RfbError("refused, with an endless reason")
        if len(self._buffer) < offset + 4 + length:
            return b""
        reason = bytes(self._buffer[offset + 4 : offset + 4 + length]).decode("utf-8", "replace")
        raise RfbError(f"refused: {reason!r}")
