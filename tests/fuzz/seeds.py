"""Good inputs for each target, from which the fuzzer goes on: a parser's depths are not found from nothing."""

import base64
import struct
import zlib

from broker.connections.native import place
from tests.gateway import spice_fakes as spice
from tests.gateway.test_rfb import MESSAGES


def _length(value: int) -> bytes:
    assert value < 128
    return bytes([value])


_CUT = bytes([2, 60, 170])
_NONE = b"RFB 003.008\n" + b"\x01\x01" + bytes(4)
_VENCRYPT = b"RFB 003.008\n\x01\x13\x00\x02\x00\x01" + struct.pack(">I", 260) + b"\x01"
_SERVER_INIT = struct.pack(">HH16sI", 8, 8, bytes(16), 4) + b"name"
_SECRET = "s" * 43
_ID = "6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e01"
_BASIC = base64.b64encode(f"berth:{_SECRET}".encode()).decode()
_CONNECT = (
    f"CONNECT {place(_ID)}:5900 HTTP/1.0\r\nHost: {place(_ID)}:5900\r\nProxy-Authorization: Basic {_BASIC}\r\n\r\n"
).encode()
_UPGRADE = (
    '/console/ws\norigin: https://portal.example\ncookie: sessionid=abc; a="b"\nx-forwarded-for: 192.0.2.1, 10.0.0.2\n'
    f"sec-websocket-protocol: binary, berth.ticket.{_SECRET}"
).encode()
_REPLIED = spice.reply() + bytes(4)
_MAIN = _REPLIED + spice.init() + spice.channels_list()
_ZEROS = zlib.compress(bytes(8 * 8 * 3))
_PICTURES = (
    struct.pack(">BxHHHHHi", 0, 1, 0, 0, 1, 1, 0) + bytes(4),
    struct.pack(">BxHHHHHi", 0, 1, 0, 0, 9, 9, -308) + b"\x01\0\0\0" + bytes(16),
    struct.pack(">B3xI", 3, 4) + b"text",
    struct.pack(">B3xi", 3, -4) + bytes(4),
    b"\x01\0\0\0\0\x01" + bytes(6),
)

_FILMS = (
    *_PICTURES,
    struct.pack(">BxHHHHHiHH", 0, 1, 2, 2, 3, 3, 1, 0, 0),
    struct.pack(">BxHHHHHiB", 0, 1, 0, 0, 8, 8, 7, 0x80) + b"rgb",
    struct.pack(">BxHHHHHiBB", 0, 1, 0, 0, 2, 2, 7, 0x40, 1) + b"\1rgbRGB" + bytes(2),
    struct.pack(">BxHHHHHiBB", 0, 1, 0, 0, 8, 8, 7, 0x40, 2) + _length(len(_ZEROS)) + _ZEROS,
    struct.pack(">BxHHHHHiB", 0, 1, 0, 0, 8, 8, 7, 0x0F) + _length(len(_ZEROS)) + _ZEROS,
    struct.pack(">BxHHHHHi", 0, 2, 0, 0, 9, 9, -223) + struct.pack(">HHHHi", 0, 0, 0, 0, -224),
)

SEEDS: dict[str, list[bytes]] = {
    "rfb-hypervisor": [b"\0" + _CUT + _NONE, b"\1" + _CUT + _VENCRYPT, b"\1\0" + _VENCRYPT + bytes(4)],
    "rfb-browser": [_CUT + b"RFB 003.008\n\x01\x01"],
    "rfb-messages": [bytes([bits]) + _CUT + message for message, _ in MESSAGES.values() for bits in (0, 7)],
    "rfb-picture": [_CUT + _SERVER_INIT + picture for picture in _PICTURES],
    "spice-client": [_CUT + spice.link(kind) for kind in (1, 2, 12)],
    "spice-server": [_CUT + _REPLIED, _CUT + spice.reply(7)],
    "spice-channel": [bytes([bits]) + _CUT + _MAIN + spice.message(107, b"x") for bits in (0, 1, 11, 22, 33)],
    "film": [_CUT + _SERVER_INIT + b"".join(_FILMS), *(_CUT + _SERVER_INIT + one for one in _FILMS)],
    "connect": [_CONNECT, _CONNECT[8:-4]],
    "upgrade": [_UPGRADE],
}
