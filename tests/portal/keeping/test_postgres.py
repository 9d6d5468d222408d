"""The same on a real PostgreSQL: pg_dump and pg_restore, the old tables in a schema of their own."""

import os
import shutil

import psycopg
import pytest

from tests.servers import postgres

from .installation import Installation
from .settled import compare

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server():
    return postgres.running


def test_an_empty_database_has_the_same_rows_and_opens_the_same_secrets(lived_in, archive, new):
    said = new.manage("restore_manager", archive)
    assert "Jobs: 3 are cancelled, 3 go on" in said and "before is in" not in said
    compare(lived_in.before, new.rows())
    assert new.life("secrets") == lived_in.secrets
    # Its own numbering goes on behind the highest row: a new event gets an id of its own.
    new.manage("backup_manager", archive.parent / "again.tar")
    assert len(new.rows()["events_event"]) == len(lived_in.before["events_event"]) + 2


def test_what_is_lived_in_goes_to_another_schema_and_comes_back_when_it_fails(lived_in, archive, migrated, tmp_path):
    new = migrated
    new.life("fill")
    before, files = new.rows(), new.files()
    assert "not empty" in new.manage("restore_manager", archive, fails=True)
    # A pg_restore that breaks off after all checks.
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "pg_restore").write_text(
        f'#!/bin/sh\ncase "$*" in *--list*) exec {shutil.which("pg_restore")} "$@";; esac\n'
        "echo 'pg_restore: error: broken off' >&2\nexit 1\n"
    )
    (tools / "pg_restore").chmod(0o755)
    new.words["PATH"] = f"{tools}:{os.environ['PATH']}"
    assert "broken off" in new.manage("restore_manager", archive, "--replace", fails=True)
    assert new.rows() == before and new.files() == files
    del new.words["PATH"]
    said = new.manage("restore_manager", archive, "--replace")
    assert "schema before_restore_" in said
    compare(lived_in.before, new.rows())
    (aside,) = new.folder.glob("before-restore-*/secret.key")
    assert aside.read_bytes() == files["secret.key"]


def test_no_password_is_on_a_command_line(lived_in, new, tmp_path):
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "pg_dump").write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/argv\necho "$PGPASSWORD" > {tmp_path}/word\n'
        f'exec {shutil.which("pg_dump")} "$@"\n'
    )
    (tools / "pg_dump").chmod(0o755)
    url = lived_in.url.replace("berth@", "berth:open%20sesame@")
    other = Installation(lived_in.folder, url, {"PATH": f"{tools}:{os.environ['PATH']}"})
    other.manage("backup_manager", tmp_path / "x.tar")
    assert "sesame" not in (tmp_path / "argv").read_text()
    assert (tmp_path / "word").read_text() == "open sesame\n"


def test_without_the_tools_it_says_so(lived_in, archive, new, tmp_path):
    empty = {"PATH": str(tmp_path)}
    other = Installation(lived_in.folder, lived_in.url, empty)
    assert "pg_dump is not installed" in other.manage("backup_manager", tmp_path / "x.tar", fails=True)
    new.words = empty
    assert "pg_restore is not installed" in new.manage("restore_manager", archive, fails=True)


def test_others_that_are_connected_are_not_replaced_under(archive, migrated):
    with psycopg.connect(migrated.url):
        assert "at work" in migrated.manage("restore_manager", archive, fails=True)
    assert not migrated.rows()["directories_user"]


def test_an_archive_of_sqlite_does_not_fit(new, tmp_path):
    folder = tmp_path / "lite"
    Installation(folder).migrated().manage("backup_manager", tmp_path / "lite.tar")
    assert "on sqlite, and this one is on postgresql" in new.manage(
        "restore_manager", tmp_path / "lite.tar", fails=True
    )
