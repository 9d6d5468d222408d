"""What is fuzzed: each target takes any bytes and must not fail. A failed assertion or another error is a finding.

The first bytes of an input choose options and where the stream is cut, for a parser must not care how bytes arrive.
"""

import itertools
from collections.abc import Callable, Iterator
from uuid import UUID

from broker.connections.native import PORT, TLS_PORT, place
from broker.connections.recording.film import Unreadable
from broker.connections.recording.film.canvas import Canvas
from broker.connections.recording.film.screen import Screen
from broker.connections.recording.film.source import Source
from broker.connections.recording.format import Entry
from broker.gateway.admission import Policy, Rejected
from broker.gateway.native.connect import read
from broker.gateway.rfb import FirstPicture, RfbError
from broker.gateway.rfb.browser import BrowserHandshake
from broker.gateway.rfb.hypervisor import HypervisorHandshake, Stage
from broker.gateway.rfb.viewonly import ViewOnlyFilter
from broker.gateway.spice import KNOWN, SMARTCARD, USBREDIR, SpiceError
from broker.gateway.spice.channel import Channel
from broker.gateway.spice.link import ClientLink, Link, ServerLink
from broker.gateway.spice.messages import MOST_TAKEN

_HELD = 8192
"""No parser of a handshake keeps more than this."""
_POLICY = Policy.of(["https://portal.example"], proxies=["10.0.0.0/8"])


def _pieces(data: bytes) -> Iterator[bytes]:
    """The first byte says how many cuts follow; the rest is the stream in pieces."""
    count = data[0] % 8 if data else 0
    cuts, stream = data[1 : 1 + count], data[1 + count :]
    places = sorted({cut * len(stream) // 256 for cut in cuts} | {0, len(stream)})
    return (stream[a:b] for a, b in itertools.pairwise(places))


def rfb_hypervisor(data: bytes) -> None:
    handshake = HypervisorHandshake(tls=bool(data[:1] and data[0] & 1))
    try:
        for piece in _pieces(data[1:]):
            handshake.receive(piece)
            if handshake.stage is Stage.TLS:
                handshake.tls_started()
            assert len(handshake._buffer) <= _HELD
    except RfbError:
        return


def rfb_browser(data: bytes) -> None:
    handshake, answered = BrowserHandshake(), b""
    try:
        for piece in _pieces(data):
            answered += handshake.receive(piece)
    except RfbError:
        return
    assert len(answered) <= 6
    assert handshake.done or not handshake.rest


def rfb_messages(data: bytes) -> None:
    """However the stream is cut the same bytes pass, and what passes would pass again."""
    bits = data[0] if data else 0
    options = {"control": bool(bits & 1), "paste": bool(bits & 2), "copy": bool(bits & 4)}
    stream = data[1:]
    whole, cut = ViewOnlyFilter(**options), ViewOnlyFilter(**options)
    pieces = list(_pieces(stream))
    wanted, got = _fed(whole.feed, [b"".join(pieces)]), _fed(cut.feed, pieces)
    assert whole.held <= 4 + 4 * 1024 and cut.held <= 4 + 4 * 1024
    assert (wanted is None) == (got is None)
    if wanted is None or got is None:
        return
    assert wanted == got
    assert _fed(ViewOnlyFilter(**options).feed, [wanted]) == wanted


def rfb_picture(data: bytes) -> None:
    whole, cut = FirstPicture(), FirstPicture()
    pieces = list(_pieces(data))
    for piece in pieces:
        cut.saw(piece)
    whole.saw(b"".join(pieces))
    assert (whole.after is None) == (cut.after is None)


def spice_client(data: bytes) -> None:
    reader = ClientLink()
    try:
        for piece in _pieces(data):
            reader.receive(piece)
    except SpiceError:
        return
    assert len(reader._reader._buffer) <= _HELD
    assert reader.link is None or reader.link.kind in KNOWN


def spice_server(data: bytes) -> None:
    reader = ServerLink()
    try:
        for piece in _pieces(data):
            if reader.accepted:
                break
            reader.receive(piece)
    except SpiceError:
        return
    assert len(reader._reader._buffer) <= _HELD and len(reader._result) < 4 + _HELD


def spice_channel(data: bytes) -> None:
    """Both directions of one channel, in pieces; nothing passes twice or comes from nowhere."""
    bits = data[0] if data else 0
    kinds = KNOWN - {SMARTCARD, USBREDIR} if bits & 2 else KNOWN
    channel = Channel(Link(0, 1 + bits % 11, 0, 0b1001, b""), view_only=bool(bits & 1), channels=kinds)
    for number, piece in enumerate(_pieces(data[1:])):
        way = channel.from_client if channel.open and number % 2 else channel.from_machine
        held = sum(len(side._header) + len(side._body) for side in (channel._down, channel._up) if side)
        try:
            passed = way(piece)
        except SpiceError:
            return
        assert len(passed) <= len(piece) + held + 6
        assert held <= MOST_TAKEN + 6


def film(data: bytes) -> None:
    """What a machine sent, painted for a video: never wrong about sizes, and blind as with open eyes."""
    sizes = []
    for blind in (True, False):
        entries = (Entry(number, piece) for number, piece in enumerate(_pieces(data)))
        canvas = Canvas(blind=blind)
        try:
            Screen(Source(entries, lambda at: None, whole=True), canvas).play()
        except Unreadable:
            continue
        sizes.append((canvas.width, canvas.height, canvas.widest, canvas.highest))
        assert blind or not canvas.width or canvas.picture.size == (canvas.width, canvas.height)
    assert len(set(sizes)) <= 1


def connect(data: bytes) -> None:
    for request in (data, b"CONNECT " + data + b"\r\n\r\n"):
        try:
            asked = read(request)
        except Rejected as rejection:
            assert rejection.status in (400, 403, 407, 431)
            continue
        assert str(UUID(asked.machine)) == asked.machine
        assert any(f"{place(asked.machine)}:{port}".encode() in request.lower() for port in (PORT, TLS_PORT))
        assert len(asked.secret) == 43


def upgrade(data: bytes) -> None:
    """The request line and headers of a console's websocket, as an HTTP parser hands them over."""
    first, *lines = data.decode("latin-1").split("\n")
    headers: dict[str, list[str]] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    try:
        presented = _POLICY.admit("GET", first, headers, "10.0.0.1")
    except Rejected as rejection:
        assert 400 <= rejection.status < 500
        assert "berth.ticket." not in rejection.reason
        return
    assert headers["origin"] and len(presented.secret) == 43 and len(presented.web_session) <= 128
    assert len(presented.address) <= 64


def _fed(feed: Callable[[bytes], bytes], pieces: list[bytes]) -> bytes | None:
    """What passed of all pieces; None when the stream could not be followed."""
    passed = b""
    try:
        for piece in pieces:
            passed += feed(piece)
    except RfbError:
        return None
    return passed


TARGETS: dict[str, Callable[[bytes], None]] = {
    "rfb-hypervisor": rfb_hypervisor,
    "rfb-browser": rfb_browser,
    "rfb-messages": rfb_messages,
    "rfb-picture": rfb_picture,
    "spice-client": spice_client,
    "spice-server": spice_server,
    "spice-channel": spice_channel,
    "film": film,
    "connect": connect,
    "upgrade": upgrade,
}
