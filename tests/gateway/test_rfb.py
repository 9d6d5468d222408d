"""The RFB parsers: right on whole and on chopped streams, bounded and never surprised on rubbish."""

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from broker.gateway.rfb import RfbError
from broker.gateway.rfb.browser import BrowserHandshake
from broker.gateway.rfb.hypervisor import HypervisorHandshake, Stage
from broker.gateway.rfb.viewonly import ViewOnlyFilter

NONE_SERVER = b"RFB 003.008\n" + b"\x01\x01" + bytes(4)
MESSAGES = {
    "pixel format": (struct.pack(">Bxxx", 0) + bytes(16), True),
    "encodings": (struct.pack(">BxH2i", 2, 2, 7, -239), True),
    "request": (struct.pack(">BBHHHH", 3, 1, 0, 0, 9, 9), True),
    "key": (struct.pack(">BBxxI", 4, 1, 65), False),
    "pointer": (struct.pack(">BBHH", 5, 1, 2, 3), False),
    "cut text": (struct.pack(">BxxxI", 6, 70) + b"\x04" * 70, False),
    "extended cut text": (struct.pack(">Bxxxi", 6, -8) + b"\x04" * 8, False),
    "continuous": (struct.pack(">BBHHHH", 150, 1, 0, 0, 9, 9), True),
    "fence": (struct.pack(">BxxxIB", 248, 1, 3) + b"abc", True),
    "power": (struct.pack(">BxBB", 250, 1, 2), False),
    "resize": (struct.pack(">BxHHBx", 251, 8, 8, 2) + bytes(32), False),
    "qemu key": (struct.pack(">BBHII", 255, 0, 1, 65, 30), False),
    "qemu audio on": (struct.pack(">BBH", 255, 1, 0), True),
    "qemu audio format": (struct.pack(">BBHBBI", 255, 1, 2, 0, 2, 44100), True),
}


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)]


@pytest.mark.parametrize("name", MESSAGES)
def test_each_message_passes_or_is_dropped(name):
    message, passes = MESSAGES[name]
    view = ViewOnlyFilter()
    assert view.feed(message) == (message if passes else b"")
    assert view.held == 0
    assert view.dropped == (not passes)


@given(st.lists(st.sampled_from(sorted(MESSAGES)), max_size=12), st.lists(st.integers(0, 10_000), max_size=20))
def test_however_the_stream_is_cut_the_same_bytes_pass(names, cuts):
    stream = b"".join(MESSAGES[name][0] for name in names)
    wanted = b"".join(MESSAGES[name][0] for name in names if MESSAGES[name][1])
    view = ViewOnlyFilter()
    assert b"".join(view.feed(part) for part in chopped(stream, cuts)) == wanted


@given(st.lists(st.binary(max_size=6000), max_size=8))
@settings(max_examples=300)
def test_rubbish_never_holds_much_and_no_input_message_gets_through(parts):
    view, passed = ViewOnlyFilter(), bytearray()
    try:
        for part in parts:
            passed += view.feed(part)
            assert view.held <= 4 + 4 * 1024
    except RfbError:
        pass
    # What passed is a sequence of whole, harmless messages: a second filter lets all of it through.
    assert ViewOnlyFilter().feed(bytes(passed)) == bytes(passed)


def test_a_long_clipboard_is_skipped_without_being_held():
    view = ViewOnlyFilter()
    view.feed(struct.pack(">BxxxI", 6, 10_000_000))
    for _ in range(10_000_000 // 65536 + 1):
        assert view.feed(b"\x04" * 65536)[:0] == b""
        assert view.held < 65536
        if not view._skip:
            break
    with pytest.raises(RfbError):
        ViewOnlyFilter().feed(struct.pack(">BxxxI", 6, 2**31 - 1))
    with pytest.raises(RfbError):
        ViewOnlyFilter().feed(struct.pack(">Bxxxi", 6, -(2**31)))


def test_the_handshake_with_a_local_hypervisor():
    handshake = HypervisorHandshake(tls=False)
    sent = b"".join(handshake.receive(bytes([byte])) for byte in NONE_SERVER)
    assert sent == b"RFB 003.008\n\x01"
    assert handshake.stage is Stage.DONE
    assert handshake.rest == b""


def test_the_handshake_with_a_remote_hypervisor():
    handshake = HypervisorHandshake(tls=True)
    sent = handshake.receive(b"RFB 003.008\n\x02\x02\x13")
    sent += handshake.receive(b"\x00\x02")
    sent += handshake.receive(b"\x00\x02" + struct.pack(">II", 258, 260))
    sent += handshake.receive(b"\x01")
    assert sent == b"RFB 003.008\n\x13\x00\x02" + struct.pack(">I", 260)
    assert handshake.stage is Stage.TLS
    handshake.tls_started()
    handshake.receive(bytes(4))
    assert handshake.stage is Stage.DONE


@pytest.mark.parametrize("version", [b"RFB 003.008\n", b"RFB 003.889\n", b"RFB 004.001\n", b"RFB 005.000\n"])
def test_the_handshake_with_a_physical_pc_gives_it_the_answer_to_its_challenge(version):
    stream = version + b"\x02\x02\x13" + bytes(16) + bytes(4)
    handshake = HypervisorHandshake(tls=False, password="berth")
    sent = b"".join(handshake.receive(bytes([byte])) for byte in stream)
    # DES of sixteen zero bytes, as openssl enc -des-ecb has it with the key whose bits are reversed.
    assert sent == b"RFB 003.008\n\x02" + bytes.fromhex("38b4363b5958aff8") * 2
    assert handshake.stage is Stage.DONE


@pytest.mark.parametrize(
    ("password", "stream"),
    [
        ("berth", b"RFB 003.008\n\x01\x01"),  # wants none: whoever it is, it is not the PC that was added
        ("", b"RFB 003.008\n\x01\x02"),
        ("", b"RFB 003.003\n"),
        ("berth", b"RFB 003.008\n\x01\x02" + bytes(16) + b"\x00\x00\x00\x01" + struct.pack(">I", 2) + b"no"),
    ],
)
def test_a_physical_pc_that_wants_something_else_is_refused(password, stream):
    with pytest.raises(RfbError):
        HypervisorHandshake(tls=False, password=password).receive(stream)


@pytest.mark.parametrize(
    ("tls", "stream"),
    [
        (False, b"RFB 003.007\n"),
        (False, b"RFB 004.000\n"),
        (False, b"HTTP/1.1 400"),
        (False, b"RFB 003.008\n\x01\x02"),
        (True, b"RFB 003.008\n\x01\x01"),
        (True, b"RFB 003.008\n\x01\x13\x00\x01"),
        (True, b"RFB 003.008\n\x01\x13\x00\x02\x01"),
        (True, b"RFB 003.008\n\x01\x13\x00\x02\x00\x01" + struct.pack(">I", 258)),
        (True, b"RFB 003.008\n\x01\x13\x00\x02\x00\x01" + struct.pack(">I", 260) + b"\x00"),
        (True, b"RFB 003.008\n\x01\x13\x00\x02\x00\x01" + struct.pack(">I", 260) + b"\x01injected"),
        (False, b"RFB 003.008\n\x00" + struct.pack(">I", 4) + b"busy"),
        (False, b"RFB 003.008\n\x00" + struct.pack(">I", 2**31)),
        (False, b"RFB 003.008\n\x01\x01\x00\x00\x00\x01" + struct.pack(">I", 2) + b"no"),
    ],
)
def test_a_hypervisor_that_is_weaker_or_odd_is_refused(tls, stream):
    with pytest.raises(RfbError):
        HypervisorHandshake(tls=tls).receive(stream)


@given(st.booleans(), st.lists(st.binary(max_size=3000), max_size=6), st.integers(0, 60))
@settings(max_examples=300)
def test_rubbish_from_a_hypervisor_ends_or_waits(tls, parts, prefix):
    handshake = HypervisorHandshake(tls=tls)
    try:
        handshake.receive((b"RFB 003.008\n\x01\x13\x00\x02\x00\x01" + struct.pack(">I", 260) + b"\x01")[:prefix])
        for part in parts:
            handshake.receive(part)
            assert len(handshake._buffer) <= 8192
    except RfbError:
        pass


@given(st.lists(st.integers(0, 100), max_size=8), st.binary(max_size=50))
def test_the_browser_is_offered_none_and_its_client_init_is_swallowed(cuts, rest):
    handshake, sent = BrowserHandshake(), b""
    for part in chopped(b"RFB 003.008\n\x01\x00" + rest, cuts):
        sent += handshake.receive(part)
    assert sent == b"\x01\x01" + bytes(4)
    assert handshake.done
    assert handshake.rest == rest


@given(st.binary(min_size=12, max_size=100))
def test_a_browser_that_speaks_something_else_is_refused(data):
    if data.startswith(b"RFB 003.008\n"):
        return
    with pytest.raises(RfbError):
        BrowserHandshake().receive(data)
