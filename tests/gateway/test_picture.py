"""The first picture is recognised among what else a machine says, in whatever pieces it comes."""

import struct

import pytest

from broker.gateway.rfb import FirstPicture

INIT = struct.pack(">HH16sI", 800, 600, bytes(16), 4) + b"desk"
BELL = b"\x02"
CLIPBOARD = b"\x03\0\0\0" + struct.pack(">I", 5) + b"hello"
EXTENDED_CLIPBOARD = b"\x03\0\0\0" + struct.pack(">i", -6) + b"sixsix"
FENCE = b"\xf8\0\0\0" + struct.pack(">I", 1) + b"\x03abc"


def rectangle(encoding, payload=b""):
    return struct.pack(">HHHHi", 0, 0, 8, 8, encoding) + payload


def update(*rectangles):
    return struct.pack(">BBH", 0, 0, len(rectangles)) + b"".join(rectangles)


NO_PICTURE = [
    update(rectangle(-258), rectangle(-259), rectangle(-257)),
    update(rectangle(-308, b"\x01\0\0\0" + bytes(16))),
    update(rectangle(-261, b"\x03")),
    update(rectangle(-307, struct.pack(">I", 3) + b"abc")),
    BELL + CLIPBOARD + EXTENDED_CLIPBOARD + FENCE,
    update(),
]
PICTURES = [update(rectangle(0, bytes(256))), update(rectangle(-258), rectangle(7, bytes(30)))]


@pytest.mark.parametrize("step", [1, 3, 7, 10_000])
@pytest.mark.parametrize("picture", PICTURES)
def test_pixels_are_seen_and_nothing_else_is(step, picture):
    first = FirstPicture()
    before = INIT + b"".join(NO_PICTURE)
    for start in range(0, len(before), step):
        piece = before[start : start + step]
        assert first.saw(piece) == len(piece)
    assert first.after is None
    for start in range(0, len(picture), step):
        first.saw(picture[start : start + step])
    assert first.after is not None


def test_the_first_moment_stays():
    first = FirstPicture()
    first.saw(INIT + PICTURES[0])
    after = first.after
    first.saw(PICTURES[0])
    assert first.after == after


def test_what_is_not_known_is_taken_for_a_picture_rather_than_watched_for_ever():
    first = FirstPicture()
    first.saw(INIT + b"\x7f")
    assert first.after is not None
    flood = FirstPicture()
    flood.saw(INIT + b"\x03\0\0\0" + struct.pack(">I", 10_000_000))
    assert flood.after is None
    flood.saw(bytes(70_000))
    assert flood.after is not None


def test_a_machine_that_says_nothing_again_and_again_is_not_listened_to_for_ever():
    """Updates without a rectangle: each is whole, so that nothing piles up, and each costs a look."""
    chatter = FirstPicture()
    chatter.saw(INIT)
    for _ in range(100):
        chatter.saw(bytes(1000))
    assert chatter.after is not None
    assert not chatter._buffer
