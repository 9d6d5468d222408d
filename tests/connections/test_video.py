"""A recording as a video: the last picture is the recording's, its length is right, and whoever may not gets none."""

import os
import random
import signal
import struct
import threading
import zlib

import pytest
from PIL import Image

from broker.connections.actions.download_video import download_video
from broker.connections.models import Recording
from broker.connections.recording.files import key_of, new_key, path_of
from broker.connections.recording.film import Unreadable, ffmpeg
from broker.connections.recording.film.canvas import Canvas, unmixed
from broker.connections.recording.film.screen import Screen
from broker.connections.recording.film.source import Source
from broker.connections.recording.format import Entry, Packer
from broker.connections.recording.video import BrokenOff, Making
from broker.core.errors import Busy, Conflict, Denied, Missing, Unavailable
from broker.events.models import Event
from broker.settings import env
from tests.recordings_help import COLOURS, EVERY, coloured, far, frames

pytestmark = pytest.mark.django_db
SCREEN = struct.pack(">HH16BI", 64, 48, *bytes(16), 0)


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    monkeypatch.setattr(env, "recordings_dir", tmp_path)
    monkeypatch.setattr(env, "data_dir", tmp_path)  # one video at a time is made, and tests run beside each other
    return tmp_path


@pytest.fixture
def recording(setting):
    return coloured(setting.vm, setting.world.alice)


def rewritten(recording: Recording, entries: list[Entry]) -> Recording:
    """The same with other contents, under a new key."""
    key, sealed = new_key()
    Recording.objects.filter(pk=recording.pk).update(key=sealed)
    packer = Packer(recording.pk, key)
    last = entries[-1].at if entries else 0
    path_of(recording.pk).write_bytes(packer.header + packer.pack(entries) + packer.finish(last + 1000))
    recording.refresh_from_db()
    return recording


def rectangle(box, encoding: int, data: bytes) -> bytes:
    return struct.pack(">BxHHHHHi", 0, 1, *box, encoding) + data


def painted(*messages: bytes) -> Image.Image:
    canvas = Canvas()
    Screen(Source(iter([Entry(0, SCREEN), *(Entry(1, one) for one in messages)]), lambda at: None, whole=True),
           canvas).play()  # fmt: skip
    return canvas.picture


def packed(data: bytes) -> bytes:
    """As Tight has it: the length, seven bits a byte, before what zlib made of it."""
    made = zlib.compress(data)
    first, more = len(made) & 127, len(made) >> 7
    return (bytes([first | 128, more]) if more else bytes([first])) + made


def test_the_last_picture_of_the_video_is_the_recordings(setting, recording, tmp_path):
    video = download_video(actor=setting.world.actor("root"), recording=recording)
    assert (video.media_type, video.name) == ("video/webm", f"{recording.pk}.webm")
    shown, told = frames(b"".join(video.pieces), tmp_path)
    times = [float(packet["pts_time"]) for packet in told["packets"]]
    length = EVERY * len(COLOURS) / 1000
    assert times == [0, *(number * EVERY / 1000 for number in range(1, len(COLOURS))), length]
    assert abs(float(told["format"]["duration"]) - length) < 0.2
    for picture, colour in zip(shown, (*COLOURS, COLOURS[-1]), strict=True):
        assert far(picture, Image.new("RGB", picture.size, colour)) < 6
    event = Event.objects.get(kind="recording.downloaded")
    assert event.params["by"] == "root"


def test_a_screen_that_grows_is_framed_in_its_largest_size(setting, recording, tmp_path):
    grown = rewritten(recording, [
        Entry(0, SCREEN),
        Entry(500, rectangle((0, 0, 64, 48), 0, bytes((200, 0, 0, 0)) * (64 * 48))),
        Entry(2000, rectangle((0, 0, 129, 97), -223, b"")),
        Entry(3000, rectangle((0, 0, 129, 97), 0, bytes((0, 0, 200, 0)) * (129 * 97))),
    ])  # fmt: skip
    video = download_video(actor=setting.world.actor("root"), recording=grown)
    shown, _ = frames(b"".join(video.pieces), tmp_path)
    assert shown[0].size == (130, 98)
    assert shown[1].getpixel((65, 49))[0] > 150 and sum(shown[1].getpixel((5, 5))) < 60
    assert shown[-1].getpixel((10, 10))[2] > 150


def test_who_may_and_who_not(setting, recording):
    for name in ("alice", "charlie"):
        with pytest.raises(Missing):
            download_video(actor=setting.actor(name), recording=recording)
    setting.world.grant(setting.world.bob, "auditor")
    with pytest.raises(Denied):
        download_video(actor=setting.world.actor("bob"), recording=recording)
    assert not Event.objects.filter(kind="recording.downloaded").exists()


def test_what_makes_no_video_says_why(setting, recording, monkeypatch):
    root = setting.world.actor("root")
    data = path_of(recording.pk).read_bytes()
    path_of(recording.pk).write_bytes(data[:-1])
    cases = {"recording.video-damaged": lambda: None,
             "recording.video-empty": lambda: rewritten(recording, []),
             "recording.video-unreadable": lambda: rewritten(recording, [Entry(0, SCREEN + b"\x99")]),
             "recording.video-long": lambda: rewritten(recording, [Entry(0, SCREEN), Entry(13 * 3_600_000, b"\2")]),
             "recording.file": lambda: path_of(recording.pk).unlink()}  # fmt: skip
    for rule, prepare in cases.items():
        prepare()
        with pytest.raises(Conflict) as refusal:
            download_video(actor=root, recording=recording)
        assert refusal.value.rule == rule
    Recording.objects.update(ended_at=None)
    recording.refresh_from_db()
    with pytest.raises(Conflict, match="going on"):
        download_video(actor=root, recording=recording)
    recording.ended_at = recording.began_at
    monkeypatch.setattr(ffmpeg, "kind", lambda: None)
    with pytest.raises(Unavailable) as missing:
        download_video(actor=root, recording=recording)
    assert "Debian package ffmpeg" in missing.value.fix
    assert not Event.objects.filter(kind="recording.downloaded").exists()


def test_one_at_a_time_and_whoever_leaves_frees_the_place(setting, recording):
    root = setting.world.actor("root")
    video = download_video(actor=root, recording=recording)
    os.killpg(video.pieces._process.pid, signal.SIGSTOP)
    with pytest.raises(Busy):
        download_video(actor=root, recording=recording)
    leaves = threading.Timer(0.3, video.pieces.close)
    leaves.start()
    again = download_video(actor=root, recording=recording)
    leaves.join()
    assert len(b"".join(again.pieces)) > 100
    again.pieces.close()


def test_a_maker_that_dies_leaves_no_video_that_looks_whole(recording):
    making = Making(recording)
    assert making.verdict == "ok"
    making._process.kill()
    with pytest.raises(BrokenOff):
        b"".join(making)
    making.close()


def test_the_maker_is_told_the_key_where_nobody_else_can_read_it(recording):
    making = Making(recording)
    key = key_of(recording).hex()
    for name in ("cmdline", "environ"):
        with open(f"/proc/{making._process.pid}/{name}", "rb") as file:
            told = file.read()
        assert key.encode() not in told and b"BERTH" not in told
    making.close()


class TestPixels:
    """Against pictures that were packed here, pixel by pixel."""

    noise = random.Random(7).randbytes(64 * 48 * 3)
    whole = (0, 0, 64, 48)

    def test_copied_by_tight(self):
        shown = painted(rectangle(self.whole, 7, b"\x00" + packed(self.noise)))
        assert shown.tobytes() == self.noise

    def test_a_stream_goes_on_until_it_is_reset(self):
        press = zlib.compressobj()
        parts = [press.compress(self.noise) + press.flush(zlib.Z_SYNC_FLUSH) for _ in range(2)]
        sized = [bytes([len(one) & 127 | 128, len(one) >> 7 & 127 | 128, len(one) >> 14]) + one for one in parts]
        first, second = (rectangle(self.whole, 7, b"\x00" + one) for one in sized)
        assert painted(first, rectangle(self.whole, 7, b"\x80abc"), second).tobytes() == self.noise
        with pytest.raises(Unreadable):
            painted(first, rectangle(self.whole, 7, b"\x01" + sized[1]))

    def test_two_colours_a_palette_and_a_fill(self):
        bits = random.Random(3).randbytes(8 * 48)
        two = painted(rectangle(self.whole, 7, b"\x40\x01\x01" + b"abcXYZ" + packed(bits)))
        for x, y in ((0, 0), (7, 1), (63, 47), (33, 20)):
            bit = bits[y * 8 + x // 8] >> (7 - x % 8) & 1
            assert two.getpixel((x, y)) == tuple(b"XYZ" if bit else b"abc")
        places = bytes(number % 3 for number in range(64 * 48))
        three = painted(rectangle(self.whole, 7, b"\x50\x01\x02" + b"abcdefghi" + packed(places)))
        assert three.tobytes() == b"".join(b"abcdefghi"[3 * one : 3 * one + 3] for one in places)
        assert painted(rectangle((60, 40, 4, 8), 7, b"\x80rgb")).getpixel((63, 47)) == tuple(b"rgb")
        short = painted(rectangle((0, 0, 3, 1), 7, b"\x00" + b"123456789"))
        assert short.getpixel((2, 0)) == tuple(b"789")

    def test_the_gradient(self):
        width, height = 64, 48
        mixed = bytearray()
        for at, value in enumerate(self.noise):
            y, x = divmod(at, width * 3)
            left = self.noise[at - 3] if x >= 3 else 0
            above = self.noise[at - width * 3] if y else 0
            corner = self.noise[at - width * 3 - 3] if x >= 3 and y else 0
            mixed.append((value - min(max(left + above - corner, 0), 255)) & 255)
        assert unmixed(width, height, bytes(mixed)) == self.noise

    def test_what_carries_no_pixels_is_passed_over(self):
        pixels = rectangle(self.whole, 7, b"\x00" + packed(self.noise))
        before = [
            rectangle((1, 1, 9, 5), -239, bytes(9 * 5 * 4 + 2 * 5)),
            rectangle((1, 1, 9, 5), 0x574D5664, bytes(2 + 360)),
            rectangle((1, 1, 2, 2), 0x574D5664, b"\x01\x00" + bytes(16)), rectangle((0, 0, 0, 0), -261, b"\x01"),
            rectangle((0, 0, 0, 0), -307, struct.pack(">I", 4) + b"name"), rectangle((0, 0, 0, 0), -258, b""),
            rectangle((1, 3, 640, 480), -308, b"\x01\0\0\0" + bytes(16)), rectangle((0, 0, 0, 0), -224, b""),
            struct.pack(">BxHH", 1, 0, 2) + bytes(12), b"\x02", struct.pack(">B3xi", 3, -4) + b"text", b"\x96",
            b"\xf8\0\0\0\0\0\0\0\x02ab", b"\xfa\0\1\1",
        ]  # fmt: skip
        copied = struct.pack(">BxHHHHHiHH", 0, 1, 32, 0, 32, 48, 1, 0, 0)
        shown = painted(*before, pixels, *before, copied)
        assert shown.crop((32, 0, 64, 48)).tobytes() == shown.crop((0, 0, 32, 48)).tobytes()
        assert shown.getpixel((0, 0)) == tuple(self.noise[:3])

    @pytest.mark.parametrize(
        "nonsense",
        [
            b"\x07", rectangle((60, 0, 5, 1), 0, bytes(20)), rectangle((0, 0, 1, 1), 99, b""),
            rectangle((0, 0, 65535, 65535), -223, b""), rectangle((0, 0, 8, 8), 7, b"\xb0"),
            rectangle((0, 0, 8, 8), 7, b"\x90\x04nope"), rectangle((0, 0, 8, 8), 7, b"\x00\x04nope"),
            rectangle((0, 0, 8, 8), 7, b"\x40\x07"), rectangle((0, 0, 8, 8), 7, b"\x00" + packed(b"x")),
            struct.pack(">B3xI", 3, 2**31), struct.pack(">BxHHHHHiHH", 0, 1, 0, 0, 8, 8, 1, 60, 0),
        ],
    )  # fmt: skip
    def test_nonsense_ends_it(self, nonsense):
        with pytest.raises(Unreadable):
            painted(nonsense)
