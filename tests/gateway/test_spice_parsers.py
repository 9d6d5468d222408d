"""The SPICE link and message parsers: they take bytes in any cut, and nonsense ends as SpiceError and nothing else."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.gateway.spice import KNOWN, SMARTCARD, USBREDIR, SpiceError
from broker.gateway.spice.channel import Channel
from broker.gateway.spice.link import ClientLink, Link, ServerLink, refusal
from broker.gateway.spice.messages import MOST_TAKEN, Messages, Verdict
from broker.virt.agent.records import Records

from .spice_fakes import CHANNELS, CONNECTION, TICKET, channels_list, init, link, message, reply

MAIN = Link(0, 1, 0, 0b1001, b"")


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(data[at : at + size])
        at += size
    return [*pieces, data[at:]]


cuts = st.lists(st.integers(1, 40), max_size=12)


@given(cuts, st.integers(0, 2**32 - 1), st.integers(1, 11), st.integers(0, 255))
def test_a_link_message_in_any_cut(sizes, connection, kind, number):
    reader, got = ClientLink(), None
    raw = link(kind, number, connection)
    for piece in cut(raw, sizes):
        got = reader.receive(piece) if piece else got
    assert got == Link(connection, kind, number, 0b1001, raw)


@pytest.mark.parametrize(
    "data",
    [
        b"RFB 003.008\n",
        b"GET / HTTP/1.1\r\n",
        struct.pack("<4sIII", b"REDQ", 1, 2, 22),
        struct.pack("<4sIII", b"REDQ", 2, 2, 2**31 + 1),
        struct.pack("<4sIII", b"REDQ", 2, 2, 17),
        link(0),
        link(12),
        link(1, capabilities=1),
        link(1) + b"x",
        struct.pack("<4sIII", b"REDQ", 2, 2, 22) + struct.pack("<IBBIIII", 0, 1, 0, 2**32 - 1, 2**32 - 1, 18, 9),
        struct.pack("<4sIII", b"REDQ", 2, 2, 22) + struct.pack("<IBBIIII", 0, 1, 0, 1, 0, 2**32 - 1, 9),
        struct.pack("<4sIII", b"REDQ", 2, 2, 22) + struct.pack("<IBBIIII", 0, 1, 0, 1, 0, 19, 9),
    ],
    ids=["rfb", "http", "version", "over 2^31", "short", "no kind", "unknown kind", "full headers", "more", "counts",
         "offset", "past the end"],
)  # fmt: skip
def test_what_is_no_link_message(data):
    with pytest.raises(SpiceError):
        ClientLink().receive(data)


@given(st.lists(st.binary(max_size=60), max_size=20), st.booleans())
def test_fuzz_client_link(pieces, beginning):
    reader = ClientLink()
    try:
        for piece in [link(1)[:16] if beginning else b"", *pieces]:
            reader.receive(piece)
    except SpiceError:
        return


@given(st.lists(st.binary(max_size=300), max_size=8), st.booleans())
def test_fuzz_server_link(pieces, beginning):
    server = ServerLink()
    try:
        for piece in [reply()[:16] if beginning else b"", *pieces]:
            server.receive(piece)
    except SpiceError:
        return


@given(cuts)
def test_the_main_channel_passes_whole_and_tells_its_number(sizes):
    channel = Channel(MAIN)
    data = reply() + bytes(4) + init() + channels_list() + message(109, b"agent")
    assert b"".join(channel.from_machine(piece) for piece in cut(data, sizes)) == data
    assert channel.connection == CONNECTION
    assert channel.open
    assert channel.from_client(TICKET + message(107, b"typed")) == TICKET + message(107, b"typed")


@given(cuts)
def test_who_looks_on_sees_no_channel_that_acts_and_reaches_no_agent(sizes):
    channel = Channel(MAIN, view_only=True)
    data = reply() + bytes(4) + init() + channels_list() + message(105, b"mode")
    passed = b"".join(channel.from_machine(piece) for piece in cut(data, sizes))
    shown = channels_list(tuple(pair for pair in CHANNELS if pair[0] in (1, 2, 4, 5)))
    assert passed == reply() + bytes(4) + init() + shown + message(105, b"mode")
    sent = TICKET + message(104) + message(106, b"tokn") + message(107, b"paste" * 99) + message(3, b"pong")
    got = b"".join(channel.from_client(piece) for piece in cut(sent, sizes))
    assert got == TICKET + message(104) + message(3, b"pong")


@given(cuts)
def test_devices_can_be_withheld_and_the_rest_passes_whole(sizes):
    channel = Channel(MAIN, channels=KNOWN - {SMARTCARD, USBREDIR})
    data = reply() + bytes(4) + init() + channels_list() + message(109, b"agent")
    passed = b"".join(channel.from_machine(piece) for piece in cut(data, sizes))
    kept = channels_list(tuple(pair for pair in CHANNELS if pair[0] not in {SMARTCARD, USBREDIR}))
    assert kept != channels_list()
    assert passed == reply() + bytes(4) + init() + kept + message(109, b"agent")
    assert channel.from_client(TICKET + message(107, b"typed")) == TICKET + message(107, b"typed")


def test_a_client_that_hides_messages_in_its_ticket_is_cut_off():
    channel = Channel(MAIN, view_only=True)
    with pytest.raises(SpiceError):
        channel.from_client(TICKET)
    channel.from_machine(reply())
    with pytest.raises(SpiceError):
        channel.from_client(struct.pack("<I", 2) + b"sasl")


def test_a_display_tells_the_first_picture():
    channel = Channel(Link(1, 2, 0, 0b1001, b""))
    channel.from_machine(reply() + bytes(4) + message(314, bytes(20)))
    assert not channel.drawn
    channel.from_machine(message(304, bytes(9)))
    assert channel.drawn


@pytest.mark.parametrize(
    "data",
    [
        reply(7),
        reply(capabilities=1),
        reply() + struct.pack("<I", 7),
        reply() + bytes(4) + message(103, b"abc"),
        reply() + bytes(4) + message(103, bytes(32)),
        reply() + bytes(4) + struct.pack("<HI", 103, MOST_TAKEN + 1),
        b"RFB 003.008\n",
    ],
    ids=["refused", "full headers", "password", "short", "no number", "endless", "rfb"],
)
def test_a_machine_that_talks_nonsense(data):
    with pytest.raises(SpiceError):
        Channel(MAIN).from_machine(data)


@pytest.mark.parametrize("body", [b"", b"\x01", struct.pack("<I", 2**31), struct.pack("<I", 3) + b"\x01\x00"])
def test_a_list_of_channels_that_lies(body):
    channel = Channel(MAIN, view_only=True)
    with pytest.raises(SpiceError):
        channel.from_machine(reply() + bytes(4) + init() + message(104, body))


@given(st.lists(st.binary(max_size=80), max_size=20), st.sampled_from([1, 2]), st.booleans())
def test_fuzz_both_directions(pieces, kind, view_only):
    channel = Channel(Link(0, kind, 0, 0b1001, b""), view_only=view_only)
    try:
        channel.from_machine(reply() + bytes(4))
        channel.from_client(TICKET)
        for piece in pieces:
            assert len(channel.from_machine(piece)) <= len(piece) + MOST_TAKEN
            channel.from_client(piece)
    except SpiceError:
        return


@given(st.lists(st.tuples(st.integers(0, 400), st.binary(max_size=50)), max_size=10), cuts)
def test_messages_are_the_same_in_every_cut(messages, sizes):
    def judge(kind: int) -> Verdict:
        return list(Verdict)[kind % 3]

    stream = Messages(judge, lambda kind, body: body[::-1] if kind % 2 else None)
    data = b"".join(message(kind, body) for kind, body in messages)
    wanted = b""
    for kind, body in messages:
        if judge(kind) is Verdict.PASS:
            wanted += message(kind, body)
        elif judge(kind) is Verdict.TAKE and kind % 2:
            wanted += message(kind, body[::-1])
    assert b"".join(stream.feed(piece) for piece in cut(data, sizes)) == wanted


def test_the_refusal_is_a_reply_that_clients_understand():
    with pytest.raises(SpiceError, match="7"):
        ServerLink().receive(refusal())


@given(st.lists(st.binary(max_size=60), max_size=6), st.lists(st.integers(1, 90), min_size=1, max_size=30))
def test_no_record_holds_two_messages(bodies, sizes):
    """Whatever pieces it comes in: the bytes are the same, and each piece lies within one message."""
    parts = [reply(), bytes(4), *(message(104, body) for body in bodies)]
    whole, ends, pieces, at = b"".join(parts), set(itertools.accumulate(map(len, parts))), [], 0
    records, sizes = Records(), itertools.cycle(sizes)
    while at < len(whole):
        size = next(sizes)
        pieces += records.cut(whole[at : at + size])
        at += size
    assert b"".join(pieces) == whole and all(pieces)
    at = 0
    for piece in pieces:
        # the reply's header and body may come together or apart; nothing else is together
        assert not [end for end in ends if at < end < at + len(piece)]
        at += len(piece)
