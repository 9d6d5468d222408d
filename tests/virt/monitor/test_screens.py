"""Screenshots become small pictures; what is no picture, too large or blank is not kept."""

import io
import os
import time
import uuid

import pytest
from PIL import Image

from broker.virt import screens


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(screens, "DATA_DIR", tmp_path)
    return tmp_path / "screens"


def picture(size=(800, 600), colour="navy", form="PPM", *, blank=False) -> bytes:
    image = Image.new("RGB", size, colour)
    if not blank:
        image.paste("white", (10, 10, size[0] // 2, size[1] // 2))
    out = io.BytesIO()
    image.save(out, form)
    return out.getvalue()


def test_stored_small_and_told_when_new(place):
    vm = uuid.uuid4()
    assert screens.latest(vm) is None
    assert screens.store(vm, picture())
    assert not screens.store(vm, picture())
    assert screens.store(vm, picture(colour="maroon", form="PNG"))
    data, age = screens.latest(vm)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("WEBP", (640, 480))
    assert 0 <= age < 5
    assert place.stat().st_mode & 0o077 == 0
    assert [path.stat().st_mode & 0o077 for path in place.iterdir()] == [0]
    screens.forget(vm)
    screens.forget(vm)
    assert screens.latest(vm) is None


def test_small_screens_are_not_enlarged():
    data = screens.shrink(picture((320, 200)))
    assert Image.open(io.BytesIO(data)).size == (320, 200)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a picture",
        picture(blank=True),
        picture(colour="black", blank=True),
        picture()[:5000],
        picture(form="GIF"),
        b"P6\n100000 100000\n255\n" + b"x" * 100,
        b"P6\n-1 5\n255\nxxxx",
    ],
    ids=["empty", "text", "blank", "black", "cut off", "another format", "huge", "negative"],
)
def test_what_is_not_shown(data):
    vm = uuid.uuid4()
    screens.store(vm, picture())
    before = screens.latest(vm)[0]
    assert not screens.store(vm, data)
    assert screens.latest(vm)[0] == before


def test_too_many_bytes_are_not_even_read(monkeypatch):
    monkeypatch.setattr(screens, "MOST_BYTES", 1000)
    assert screens.shrink(picture()) is None


def test_wishes_run_out_and_are_removed(place):
    fresh, old = uuid.uuid4(), uuid.uuid4()
    screens.want([fresh, old])
    assert screens.wanted() == {fresh, old}
    ago = time.time() - 31
    os.utime(place / f"{old}.want", (ago, ago))
    assert screens.wanted() == {fresh}
    screens.store(old, picture())
    for path in place.glob(f"{old}.*"):
        os.utime(path, (ago - 3600, ago - 3600))
    assert screens.purge() == 2
    assert [path.name for path in place.iterdir()] == [f"{fresh}.want"]


@pytest.mark.parametrize("name", ["../../etc/passwd", "x", ""])
def test_names_that_are_no_ids_reach_no_file(name):
    with pytest.raises(ValueError, match="UUID"):
        screens.latest(name)
    with pytest.raises(ValueError, match="UUID"):
        screens.want([name])
