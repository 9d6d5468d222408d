"""A manager on SQLite, backed up while it is written to, and restored elsewhere: the same rows, the same secrets."""

import contextlib
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
import time

import pytest

from portal.keeping.archive import described, unpack, write
from tests.prepared import ROOT

from .installation import Installation
from .settled import compare

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """One more that is lived in; `before`: its rows."""
    one = Installation(tmp_path_factory.mktemp("other")).migrated()
    one.life("fill")
    one.before = one.rows()
    return one


@pytest.fixture
def old(other, tmp_path):
    """A copy of it, to be replaced."""
    shutil.copytree(other.folder, tmp_path / "replaced")
    return Installation(tmp_path / "replaced")


def test_another_installation_has_the_same_rows_and_opens_the_same_secrets(lived_in, archive, new):
    said = new.manage("restore_manager", archive)
    assert "Jobs: 3 are cancelled, 3 go on" in said and "before" not in said
    compare(lived_in.before, new.rows())
    assert new.life("secrets") == lived_in.secrets
    assert set(new.files()) == {"berth.sqlite3", "secret.key"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in new.folder.iterdir())
    assert "Nothing" not in new.manage("verifyevents")


def test_the_archive_is_for_its_owner_alone_and_tells_what_is_in_it(archive):
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    assert os.listdir(archive.parent) == ["manager.tar"]
    with tarfile.open(archive) as tar:
        assert tar.getnames() == ["manifest.json", "database.sqlite3", "secret.key"]


def test_it_replaces_nothing(lived_in, archive):
    before = archive.read_bytes()
    assert "exists already" in lived_in.manage("backup_manager", archive, fails=True)
    assert archive.read_bytes() == before
    assert "no directory" in lived_in.manage("backup_manager", archive.parent / "no" / "x.tar", fails=True)


def test_what_is_lived_in_is_set_aside_only_when_that_is_said(lived_in, archive, other, old):
    files = old.files()
    assert "not empty" in old.manage("restore_manager", archive, fails=True)
    assert old.files() == files
    said = old.manage("restore_manager", archive, "--replace")
    compare(lived_in.before, old.rows())
    (aside,) = old.folder.glob("before-restore-*")
    assert str(aside) in said and stat.S_IMODE(aside.stat().st_mode) == 0o700
    assert (aside / "secret.key").read_bytes() == files["secret.key"]
    moved = Installation(aside)
    assert moved.rows() == other.before and moved.life("secrets")


def test_nothing_is_restored_under_somebody_who_has_it_open(archive, new):
    new.migrated()
    other = sqlite3.connect(new.folder / "berth.sqlite3")
    other.execute("PRAGMA journal_mode=WAL")
    other.execute("SELECT count(*) FROM jobs_job").fetchone()
    try:
        assert "at work" in new.manage("restore_manager", archive, fails=True)
    finally:
        other.close()
    assert not list(new.folder.glob(".restoring*")) and not new.rows()["directories_user"]
    new.manage("restore_manager", archive)


def test_an_archive_of_a_newer_berth_is_refused(archive, new, tmp_path):
    folder = tmp_path / "newer"
    newer = Installation(folder)
    folder.mkdir()
    newer.manage("restore_manager", archive)
    line = sqlite3.connect(folder / "berth.sqlite3")
    line.execute("INSERT INTO django_migrations (app, name, applied) VALUES ('virt', '9999_ahead', '2030-01-01')")
    line.commit()
    line.close()
    newer.manage("backup_manager", tmp_path / "newer.tar")
    said = new.manage("restore_manager", tmp_path / "newer.tar", fails=True)
    assert "newer than this one: virt.9999_ahead" in said
    assert "berth.sqlite3" not in new.files() or not new.rows().get("directories_user")


def test_an_older_one_is_brought_up_to_date(archive, new, tmp_path):
    folder = tmp_path / "older"
    folder.mkdir()
    older = Installation(folder)
    older.migrated().manage("migrate", "portal", "zero", "-v0")
    older.manage("backup_manager", tmp_path / "older.tar")
    new.manage("restore_manager", tmp_path / "older.tar")
    assert "portal_idempotencykey" in new.rows()


def test_a_moment_is_kept_whole_while_others_write(lived_in, new, tmp_path):
    folder = tmp_path / "busy"
    shutil.copytree(lived_in.folder, folder)
    busy, done, path = Installation(folder), threading.Event(), tmp_path / "busy.tar"

    def write():
        line = sqlite3.connect(folder / "berth.sqlite3", timeout=30)
        while not done.is_set():  # both rows or none
            with line:
                line.execute("UPDATE directories_user SET email = email || 'x' WHERE username = 'alice'")
                line.execute("UPDATE directories_user SET email = email || 'x' WHERE username = 'bob'")
        line.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        busy.manage("backup_manager", path)
    finally:
        done.set()
        writer.join()
    new.manage("restore_manager", path)
    line = sqlite3.connect(new.folder / "berth.sqlite3")
    names = dict(line.execute("SELECT username, email FROM directories_user"))
    assert names["alice"] == names["bob"] != ""


def test_a_key_of_the_environment_is_in_no_archive_and_must_be_the_same(new, tmp_path):
    words = {"BERTH_SECRET_KEY": "a key that is long enough for this"}
    folder = tmp_path / "with"
    folder.mkdir()
    keyed = Installation(folder, words=words).migrated()
    secrets = keyed.life("fill")
    assert "BERTH_SECRET_KEY is not in it" in keyed.manage("backup_manager", tmp_path / "with.tar")
    assert words["BERTH_SECRET_KEY"].encode() not in (tmp_path / "with.tar").read_bytes()
    assert "BERTH_SECRET_KEY is not the key" in new.manage("restore_manager", tmp_path / "with.tar", fails=True)
    new.words = words
    new.manage("restore_manager", tmp_path / "with.tar")
    assert new.life("secrets") == secrets


_KILLED = """
import os, pathlib, signal, sys
import django; django.setup()
from django.core.management import call_command
real, left = pathlib.Path.replace, [{nth}]
def replace(self, target):
    left[0] -= 1
    if left[0] == 0 and {before}: os.kill(os.getpid(), signal.SIGKILL)
    found = real(self, target)
    if left[0] == 0: os.kill(os.getpid(), signal.SIGKILL)
    return found
pathlib.Path.replace = replace
call_command("restore_manager", {archive!r}, replace=True)
"""


@pytest.mark.parametrize(("nth", "before"), [(1, True), (1, False), (2, True), (2, False)])
def test_killed_between_its_renames_it_leaves_a_database_and_can_be_done_again(
    lived_in, archive, other, old, nth, before
):
    key = (old.folder / "secret.key").read_bytes()
    done = old._run(["-c", _KILLED.format(nth=nth, before=before, archive=str(archive))])
    assert done.returncode == -9, done.stderr
    aside = list(old.folder.glob("before-restore-*"))
    assert len(aside) == 1 and (aside[0] / "secret.key").read_bytes() == key
    if (nth, before) == (2, False):
        compare(lived_in.before, old.rows())
    else:
        assert old.rows() == other.before
    time.sleep(1 - time.time() % 1)  # what is set aside is named by the second
    old.manage("restore_manager", archive, "--replace")
    compare(lived_in.before, old.rows())
    assert old.life("secrets") == lived_in.secrets


def test_a_full_disk_leaves_nothing_behind(lived_in, archive, new, tmp_path):
    """Files may grow to a megabyte here: writing fails in the middle, after the room was looked at."""
    limited = "import resource, sys, runpy; resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20));"
    for installation, argv in (
        (lived_in, ["backup_manager", str(tmp_path / "x.tar")]), (new, ["restore_manager", str(archive)]),
    ):  # fmt: skip
        before = installation.files() if installation is lived_in else {}
        run = f"sys.argv = ['manage.py', *{argv!r}]; runpy.run_path('manage.py', run_name='__main__')"
        done = installation._run(["-c", limited + run])
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        assert done.stderr.startswith("CommandError")
        left = installation.files()
        assert set(left) - set(before) <= {"berth.sqlite3", "secret.key"} and not (tmp_path / "x.tar").exists()
        assert [one.name for one in tmp_path.iterdir()] == ["new"]
    assert not new.rows().get("directories_user")


def test_a_damaged_database_is_set_aside_with_its_journal(lived_in, archive, new):
    for end in ("", "-wal"):
        (new.folder / f"berth.sqlite3{end}").write_bytes(b"no database at all" * 1000)
    assert "cannot be read" in new.manage("backup_manager", archive.parent / "x.tar", fails=True)
    assert "--replace" in new.manage("restore_manager", archive, fails=True)
    new.manage("restore_manager", archive, "--replace")
    compare(lived_in.before, new.rows())
    assert {one.name for one in new.folder.glob("before-restore-*/*")} >= {"berth.sqlite3"}


def test_a_data_directory_may_be_named_from_where_one_stands(archive, new):
    new.words["BERTH_DATA_DIR"] = os.path.relpath(new.folder, ROOT)
    new.manage("restore_manager", archive)
    new.manage("backup_manager", os.path.relpath(new.folder / "x.tar", ROOT))
    assert (new.folder / "x.tar").exists()


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("CREATE TRIGGER t AFTER INSERT ON jobs_job BEGIN DELETE FROM jobs_job; END", "none of Berth's"),
        ("CREATE VIEW v AS SELECT 1", "none of Berth's"),
        ("DELETE FROM django_migrations WHERE app = 'pools'", "not the one that its manifest"),
        ("DROP TABLE django_migrations", "damaged"),
        ("DROP TABLE jobs_job", "could not be brought up to date"),
        ("", "damaged"),
    ],
)
def test_a_database_of_right_checksums_that_is_none_of_ours(archive, new, tmp_path, sql, why):
    made = tmp_path / "made"
    made.mkdir()
    told = unpack(archive, made)
    file = made / told.dump
    if sql:
        with contextlib.closing(sqlite3.connect(file)) as line:
            line.execute(sql)
            line.commit()
    else:
        file.write_bytes(os.urandom(8192))
    files = {name: made / name for name in told.members}
    again = told.model_copy(update={"members": {name: described(path) for name, path in files.items()}})
    write(tmp_path / "bad.tar", again, files, made)
    assert why in new.manage("restore_manager", tmp_path / "bad.tar", fails=True)
    assert not list(new.folder.glob(".restoring*")) and not list(new.folder.glob("before*"))
    assert not new.rows().get("directories_user")
