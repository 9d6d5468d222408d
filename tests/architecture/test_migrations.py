"""Migrations say what the models say, and begin from nothing."""

import sqlite3

import pytest
from django.core.management import call_command

from tests import prepared


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.slow
def test_what_tests_copy_is_what_the_migrations_make(tmp_path):
    prepared.migrate(BERTH_DATA_DIR=str(tmp_path))
    assert _like(tmp_path / "berth.sqlite3") == _like(prepared.sqlite_file())


def _like(path):
    """The statements that make the tables, and what was written into them without a time or a random key."""
    line = sqlite3.connect(path)
    made = sorted(line.execute("SELECT type, name, tbl_name, sql FROM sqlite_master"), key=str)
    counted = {
        name: line.execute(f"SELECT count(*) FROM {name}").fetchone() for kind, name, _, _ in made if kind == "table"
    }
    written = line.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
    line.close()
    return made, counted, written
