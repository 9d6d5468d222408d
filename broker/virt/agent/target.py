"""A session with an iSCSI target: log in (with CHAP if asked for), send commands, get answers. No digests.

Writes wait to be asked for their data (InitialR2T, no immediate data), so that no negotiated length can be overrun.
The agent and the manager speak to targets with it; what goes wrong is an OSError here, and the manager's own in
broker/virt/iscsi. Sources: RFC 7143 (iSCSI), RFC 1994 (CHAP).
"""

import base64
import hashlib
import os
import socket
import struct
from collections.abc import Mapping
from typing import Self

PORT = 3260
_HEAD = 48
_MOST = 1 << 20  # of one answer, so that a strange target cannot fill our memory
_PIECE = 64 << 10
_SECURITY, _OPERATION, _FULL = 0, 1, 3
_LAST = 0x80
_WORDS = {
    "HeaderDigest": "None", "DataDigest": "None", "MaxRecvDataSegmentLength": "262144", "InitialR2T": "Yes",
    "ImmediateData": "No", "MaxBurstLength": "262144", "FirstBurstLength": "65536", "MaxConnections": "1",
    "MaxOutstandingR2T": "1", "ErrorRecoveryLevel": "0", "DataPDUInOrder": "Yes", "DataSequenceInOrder": "Yes",
    "DefaultTime2Wait": "2", "DefaultTime2Retain": "0",
}  # fmt: skip


class Held(OSError):
    """Somebody else has reserved the LUN."""


class Session:
    """Open for as long as its block; every wait ends after `timeout` seconds. `holds`: LUNs that we reserved."""

    INITIATOR = "iqn.2026-01.io.berth:agent"

    def __init__(
        self, portal: str, target: str = "", *, user: str = "", password: str = "", timeout: float = 5.0
    ) -> None:
        self.portal, self.target, self._user, self._password = portal, target, user, password
        self.holds: set[int] = set()
        self._task, self._command, self._status = 0, 1, 0
        self._isid = bytes([0x80]) + os.urandom(5)  # a nexus of our own: what it reserves, it alone holds
        self._segment = _PIECE
        try:
            self._line = socket.create_connection(address(portal), timeout)
            self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # nothing arrives later
        except OSError as error:
            raise self._silent(error) from error
        try:
            self._log_in()
        except BaseException:
            self._line.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._line.close()  # the target lets go of what we reserved

    def targets(self) -> dict[str, list[str]]:
        """Of a session without a target: the names of all targets with their portals."""
        head = self._head(0x04, _LAST)
        struct.pack_into(">I", head, 20, 0xFFFFFFFF)
        self._send(head, b"SendTargets=All\0", counts=True)
        _, data = self._answer(0x24)
        found: dict[str, list[str]] = {}
        name = ""
        for word in data.split(b"\0"):
            key, _, value = word.decode("utf-8", "replace").partition("=")
            if key == "TargetName":
                name = value
                found[name] = []
            elif key == "TargetAddress" and name:
                found[name].append(value.partition(",")[0])
        return found

    def ask(self, lun: int, command: bytes, *, data: bytes = b"", room: int = 0) -> tuple[int, bytes, bytes]:
        """Send a SCSI command; its status, what was read (at most `room` bytes), and its sense data."""
        head = self._head(0x01, _LAST | (0x40 if room else 0) | (0x20 if data else 0) | 1)
        struct.pack_into(">H", head, 8, lun if lun < 256 else 0x4000 | lun)
        struct.pack_into(">I", head, 20, room or len(data))
        head[32 : 32 + len(command)] = command
        task = self._send(head, b"", counts=True)
        read = bytearray(room)
        while True:
            answer, piece = self._receive()
            kind = answer[0] & 0x3F
            if kind == 0x25:
                place = struct.unpack_from(">I", answer, 40)[0]
                if place + len(piece) > room:
                    raise self._strange()
                read[place : place + len(piece)] = piece
                if answer[1] & 1:
                    return answer[3], bytes(read), b""
            elif kind == 0x31:
                self._give(task, lun, answer, data)
            elif kind == 0x21:
                if answer[2]:
                    raise self._strange()
                return answer[3], bytes(read), piece[2:]
            else:
                raise self._strange()

    def reset(self, lun: int) -> None:
        """End whatever others began on a LUN, their reservation of it, too; each of them is told of it."""
        head = self._head(0x02, _LAST | 5)
        struct.pack_into(">H", head, 8, lun if lun < 256 else 0x4000 | lun)
        struct.pack_into(">II", head, 20, 0xFFFFFFFF, self._command)
        struct.pack_into(">I", head, 32, self._command)
        self._send(head, b"", counts=True)
        answer, _ = self._answer(0x22)
        if answer[2]:
            raise self._strange()

    def _give(self, task: int, lun: int, asked: bytes, data: bytes) -> None:
        """The data of a write, as far as they were asked for."""
        begin, length = struct.unpack_from(">II", asked, 40)
        if begin + length > len(data):
            raise self._strange()
        end, number = begin + length, 0
        while begin < end:
            piece = data[begin : min(begin + self._segment, end)]
            head = self._head(0x05, _LAST if begin + len(piece) == end else 0, task)
            struct.pack_into(">H", head, 8, lun if lun < 256 else 0x4000 | lun)
            head[20:24] = asked[20:24]
            struct.pack_into(">II", head, 36, number, begin)
            self._send(head, piece)
            begin, number = begin + len(piece), number + 1

    # -- logging in ----------------------------------------------------------------------------------------------

    def _log_in(self) -> None:
        words = {"InitiatorName": self.INITIATOR, "SessionType": "Normal" if self.target else "Discovery"}
        if self.target:
            words["TargetName"] = self.target
        words["AuthMethod"] = "CHAP" if self._user else "None"
        answer = self._login(_SECURITY, words, last=not self._user)
        if self._user:
            if answer.get("AuthMethod") == "CHAP":
                answer = self._login(_SECURITY, {"CHAP_A": "5"}, last=False)
                self._login(_SECURITY, self._proof(answer), last=True)
            else:
                self._login(_SECURITY, {}, last=True)
        answer = self._login(_OPERATION, _WORDS, last=True)
        told = answer.get("MaxRecvDataSegmentLength", "")
        self._segment = min(_PIECE, max(512, int(told))) if told.isdecimal() else 8192

    def _proof(self, asked: Mapping[str, str]) -> dict[str, str]:
        try:
            number, challenge = int(asked["CHAP_I"]), _binary(asked["CHAP_C"])
        except (KeyError, ValueError):
            raise self._strange() from None
        # the protocol knows no other: RFC 7143 demands MD5 of every target
        digest = hashlib.md5(bytes([number & 0xFF]) + self._password.encode() + challenge, usedforsecurity=False)
        return {"CHAP_N": self._user, "CHAP_R": "0x" + digest.hexdigest()}

    def _login(self, stage: int, words: Mapping[str, str], *, last: bool) -> dict[str, str]:
        following = _OPERATION if stage == _SECURITY else _FULL
        head = self._head(0x43, (_LAST | following if last else 0) | stage << 2, 1)
        head[8:14] = self._isid
        self._send(head, b"".join(f"{key}={value}\0".encode() for key, value in words.items()))
        answer, data = self._answer(0x23)
        if answer[36]:
            raise self._turned_away(answer[36], answer[37])
        pairs = (word.partition("=") for word in data.decode("utf-8", "replace").split("\0"))
        return {key: value for key, _, value in pairs if key}

    def _turned_away(self, kind: int, detail: int) -> Exception:
        return PermissionError(f"{self.portal} does not let us in to {self.target} ({kind}/{detail})")

    def when_held(self, lun: int) -> Exception:
        """What a command comes to on a LUN that somebody else reserved."""
        return Held(f"LUN {lun} of {self.target} is held by somebody else")

    def when_refused(self, lun: int, command: bytes, sense: bytes) -> Exception:
        return OSError(f"LUN {lun} of {self.target} refuses command {command[0]:02x} (sense {sense[:14].hex()})")

    # -- the wire ------------------------------------------------------------------------------------------------

    def _head(self, kind: int, flags: int, task: int | None = None) -> bytearray:
        head = bytearray(_HEAD)
        head[0], head[1] = kind, flags
        if task is None:
            self._task += 1
            task = self._task
        struct.pack_into(">I", head, 16, task)
        return head

    def _send(self, head: bytearray, data: bytes, *, counts: bool = False) -> int:
        head[5:8] = len(data).to_bytes(3, "big")
        if head[0] & 0x3F != 0x05:
            struct.pack_into(">I", head, 24, self._command)
            self._command += counts
        struct.pack_into(">I", head, 28, self._status)
        try:
            self._line.sendall(bytes(head) + data + bytes(-len(data) % 4))
        except OSError as error:
            raise self._silent(error) from error
        return int.from_bytes(head[16:20], "big")

    def _answer(self, kind: int) -> tuple[bytes, bytes]:
        """The next answer, which may come in several pieces, and must be of this kind."""
        whole = b""
        while True:
            head, data = self._receive()
            whole += data
            if head[0] & 0x3F != kind or len(whole) > _MOST:
                raise self._strange()
            if not head[1] & 0x40:
                return head, whole
            again = self._head(0x43 if kind == 0x23 else 0x04, 0, int.from_bytes(head[16:20], "big"))
            if kind == 0x23:
                again[1], again[8:14] = head[1] & 0x0C, self._isid
            else:
                again[1], again[20:24] = _LAST, head[20:24]
            self._send(again, b"", counts=kind != 0x23)

    def _receive(self) -> tuple[bytes, bytes]:
        while True:
            head = self._exactly(_HEAD)
            kind, length = head[0] & 0x3F, int.from_bytes(head[5:8], "big")
            if length > _MOST or head[4]:
                raise self._strange()
            data = self._exactly(length + -length % 4)[:length]
            if kind != 0x31 and not (kind == 0x25 and not head[1] & 1):
                self._status = int.from_bytes(head[24:28], "big") + 1 & 0xFFFFFFFF
            if kind == 0x20:
                self._greet(head)
            elif kind != 0x32:
                return head, data

    def _greet(self, head: bytes) -> None:
        """Answer a target that asks whether we live."""
        if head[20:24] != b"\xff" * 4:
            reply = self._head(0x40, _LAST, 0xFFFFFFFF)
            reply[8:16], reply[20:24] = head[8:16], head[20:24]
            self._send(reply, b"")

    def _exactly(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                piece = self._line.recv(count - len(data))
            except OSError as error:
                raise self._silent(error) from error
            if not piece:
                raise self._silent(None)
            data += piece
        return bytes(data)

    def _silent(self, error: OSError | None) -> Exception:
        return TimeoutError(f"{self.portal} does not answer: {error or 'it hung up'}")

    def _strange(self) -> Exception:
        return OSError(f"{self.portal} answers what we do not understand")


def address(portal: str) -> tuple[str, int]:
    """Host and port of "host", "host:port", "[v6]" or "[v6]:port"."""
    host, _, port = portal.rpartition(":")
    if not host or not port.isdecimal() or (":" in host and not host.startswith("[")):
        host, port = portal, str(PORT)
    return host.strip("[]"), int(port)


def _binary(text: str) -> bytes:
    if text[:2].lower() == "0b":
        return base64.b64decode(text[2:])
    digits = text[2:]
    return bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
