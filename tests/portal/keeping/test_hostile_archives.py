"""Archives that strangers made, or that were damaged: one sentence, and nothing is written outside of the scratch."""

import io
import os
import tarfile
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.core.errors import Invalid
from portal.keeping import archive, manifest
from portal.keeping.manifest import Manifest

FILES = {"database.sqlite3": b"SQLite" * 500, "secret.key": b"k" * 64}


@pytest.fixture
def whole(tmp_path):
    """A right archive's path."""
    target = tmp_path / "right.tar"
    sources = {}
    (tmp_path / "made").mkdir()
    for name, data in FILES.items():
        sources[name] = tmp_path / "made" / name
        sources[name].write_bytes(data)
    archive.write(target, told(sources), sources, tmp_path / "made")
    return target


def told(sources) -> Manifest:
    return Manifest(
        berth="0.1.0", made_at=datetime(2026, 11, 28, tzinfo=UTC), engine="sqlite", migrations=["a.0001"], key="f" * 32,
        key_in="file", members={name: archive.described(path) for name, path in sources.items()},
    )  # fmt: skip


def tar(path, members, manifest_data):
    """A tar of (name, bytes, changes to its header)."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as made:
        for name, data, more in [("manifest.json", manifest_data, {}), *members]:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            for word, value in more.items():
                setattr(info, word, value)
            made.addfile(info, io.BytesIO(data))
    return path


def refused(path, tmp_path) -> str:
    scratch = tmp_path / "scratch" / "in"
    scratch.mkdir(parents=True)
    before = sorted(str(one) for one in tmp_path.rglob("*"))
    with pytest.raises(Invalid) as caught:
        archive.unpack(path, scratch)
    after = sorted(str(one) for one in tmp_path.rglob("*"))
    assert {os.path.dirname(one) for one in set(after) - set(before)} <= {str(scratch)}
    assert caught.value.fix
    return caught.value.message


def test_a_right_one_is_unpacked(whole, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    archive.unpack(whole, folder)
    assert {one.name: one.read_bytes() for one in folder.iterdir()} == FILES
    assert all(one.stat().st_mode & 0o777 == 0o600 for one in folder.iterdir())


@pytest.mark.parametrize(
    ("name", "data", "more", "why"),
    [
        ("/etc/cron.d/x", b"x", {}, "lead out"),
        ("../../x", b"x", {}, "lead out"),
        ("a/../../x", b"x", {}, "lead out"),
        ("secret.key", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/shadow"}, "no plain file"),
        ("secret.key", b"", {"type": tarfile.LNKTYPE, "linkname": "/etc/shadow"}, "no plain file"),
        ("secret.key", b"", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 5}, "no plain file"),
        ("secret.key", b"", {"type": tarfile.BLKTYPE}, "no plain file"),
        ("secret.key", b"", {"type": tarfile.FIFOTYPE}, "no plain file"),
        ("secret.key", b"", {"type": tarfile.DIRTYPE}, "no plain file"),
        ("secret.key", b"k" * 512, {"type": tarfile.GNUTYPE_SPARSE}, "no plain file"),
        ("x" * 300, b"x", {}, "no plain file"),  # a long name is a member of its own in tar
        ("manage.py", b"x", {}, "does not belong"),
        ("secret.key", b"k" * 63, {}, "promised size"),
        ("secret.key", b"j" * 64, {}, "checksum"),
    ],
)
def test_what_does_not_belong_in_it(whole, tmp_path, name, data, more, why):
    right = ("database.sqlite3", FILES["database.sqlite3"], {})
    path = tar(tmp_path / "bad.tar", [right, (name, data, more)], archive.look(whole).encoded())
    assert why in refused(path, tmp_path)


def test_one_that_lacks_a_member_or_has_it_twice(whole, tmp_path):
    data = archive.look(whole).encoded()
    one = ("secret.key", FILES["secret.key"], {})
    assert "“database.sqlite3” is missing" in refused(tar(tmp_path / "a.tar", [one], data), tmp_path)
    (tmp_path / "scratch").rename(tmp_path / "scratch-1")
    assert "does not belong" in refused(tar(tmp_path / "b.tar", [one, one], data), tmp_path)


@pytest.mark.parametrize("keep", [0, 1, 511, 512, 600, 2048, 4000, 5120, -1, -512, -5000])
def test_one_that_was_cut_off(whole, tmp_path, keep):
    data = whole.read_bytes()
    ends = data.rstrip(b"\0")
    path = tmp_path / "cut.tar"
    path.write_bytes(data[:keep] if keep >= 0 else ends[: len(ends) + keep])
    assert refused(path, tmp_path)


@given(st.data())
def test_a_changed_byte_is_never_taken(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("changed")
    (folder / "made").mkdir()
    sources = {name: folder / "made" / name for name in FILES}
    for name, path in sources.items():
        path.write_bytes(FILES[name])
    archive.write(folder / "x.tar", told(sources), sources, folder / "made")
    old = (folder / "x.tar").read_bytes()
    at = data.draw(st.integers(0, len(old) - 1))
    new = bytearray(old)
    new[at] ^= data.draw(st.integers(1, 255))
    (folder / "x.tar").write_bytes(new)
    (folder / "out").mkdir()
    try:
        found = archive.unpack(folder / "x.tar", folder / "out")
    except Invalid:
        return
    # A byte of padding, of the end, or a word that is only told.
    assert {name: (folder / "out" / name).read_bytes() for name in FILES} == FILES
    assert set(found.members) == set(FILES)


@given(st.binary(max_size=3000))
def test_any_bytes_are_answered_with_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "x"
    path.write_bytes(data)
    with pytest.raises(Invalid):
        archive.look(path)


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"format": "1"}, {"made_at": "yesterday"}, {"made_at": "2026-11-28T00:00:00"},
        {"engine": "oracle"}, {"members": {}}, {"members": {"../x": {"size": 1, "sha256": "0" * 64}}},
        {"migrations": None}, {"more": 1}, {"key_in": "environment"}, {"berth": "x" * 1000},
        {"members": {name: {"size": -1, "sha256": "0" * 64} for name in FILES}},
    ],
)  # fmt: skip
def test_a_manifest_that_says_something_else(whole, change):
    import json

    data = json.loads(archive.look(whole).encoded()) | change
    with pytest.raises(Invalid) as caught:
        manifest.decoded(json.dumps(data).encode())
    assert caught.value.fix


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_manifest_that_is_none(data):
    with pytest.raises(Invalid):
        manifest.decoded(data)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", tmp_path / "nowhere", "/dev/zero"):
        with pytest.raises(Invalid):
            archive.look(type(tmp_path)(path))


def test_an_archive_never_takes_the_place_of_a_file(whole, tmp_path):
    from broker.core.errors import Conflict

    sources = {name: tmp_path / "made" / name for name in FILES}
    (tmp_path / "made" / "archive").unlink()
    before = whole.read_bytes()
    with pytest.raises(Conflict):
        archive.write(whole, told(sources), sources, tmp_path / "made")
    assert whole.read_bytes() == before
