"""The file of a recording: what was put in comes out, and whatever was done to the file is noticed."""

import io
import os
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.connections.recording.format import KEY_BYTES, Damaged, Entry, Packer, Unfinished, read

ID, KEY = uuid4(), os.urandom(KEY_BYTES)
ENTRIES = st.lists(
    st.builds(Entry, st.integers(0, 2**32 - 1), st.binary(max_size=300) | st.just(bytes(5000))), min_size=1, max_size=6
)
CHUNKS = st.lists(st.tuples(ENTRIES, st.booleans()), max_size=5)


def pieces(chunks, recording=ID, key=KEY) -> list[bytes]:
    packer = Packer(recording, key)
    return [packer.header, *(packer.pack(entries, compress=small) for entries, small in chunks), packer.finish(77)]


def opened(data: bytes, recording=ID, key=KEY) -> list[Entry]:
    return list(read(io.BytesIO(data), recording, key))


@given(CHUNKS)
def test_what_was_put_in_comes_out(chunks):
    expected = [entry for entries, _ in chunks for entry in entries]
    assert opened(b"".join(pieces(chunks))) == [*expected, Entry(77, b"")]


@given(CHUNKS, st.data())
def test_a_changed_bit_is_noticed(chunks, data):
    whole = bytearray(b"".join(pieces(chunks)))
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Damaged):
        opened(bytes(whole))


@given(CHUNKS, st.data())
def test_a_file_that_was_cut_off_is_noticed(chunks, data):
    whole = b"".join(pieces(chunks))
    with pytest.raises(Damaged):
        opened(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.lists(st.tuples(ENTRIES, st.booleans()), min_size=2, max_size=5), st.data())
def test_chunks_left_out_doubled_or_reordered_are_noticed(chunks, data):
    header, *rest = pieces(chunks)
    order = list(range(len(rest)))
    wrong = data.draw(st.lists(st.sampled_from(order), max_size=8).filter(lambda other: other != order))
    with pytest.raises(Damaged):
        opened(header + b"".join(rest[at] for at in wrong))


def test_another_recordings_chunks_and_another_key_do_not_open():
    chunks, other = [([Entry(1, b"one")], True)], uuid4()
    foreign = pieces(chunks, recording=other)
    with pytest.raises(Damaged):
        opened(pieces(chunks)[0] + b"".join(foreign[1:]))
    with pytest.raises(Damaged):
        opened(b"".join(foreign))
    with pytest.raises(Damaged):
        opened(b"".join(pieces(chunks)), key=os.urandom(KEY_BYTES))


def test_what_is_there_of_an_unfinished_file_can_be_read():
    header, first, _ = pieces([([Entry(1, b"one")], True)])
    reading = read(io.BytesIO(header + first), ID, KEY)
    assert next(reading) == Entry(1, b"one")
    with pytest.raises(Unfinished):
        next(reading)


def test_the_picture_is_not_in_the_file_in_the_clear():
    assert b"secret text" not in b"".join(pieces([([Entry(1, b"secret text")], False)]))
