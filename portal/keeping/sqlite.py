"""The database as one SQLite file: copied by SQLite's own online backup, put in place by renaming."""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from django.db import connection

from broker.core.text import gettext_noop as N_

from .facts import at_work
from .manifest import broken


def path() -> Path:
    """Where the database is."""
    return Path(connection.settings_dict["NAME"]).absolute()


def size() -> int:
    """Bytes that a copy takes at most."""
    return sum(one.stat().st_size for end in ("", "-wal") if (one := Path(f"{path()}{end}")).exists())


def dump(target: Path) -> list[str]:
    """A copy as of one moment, while others go on writing. Returns its migrations. Raises OSError for a full disk."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    there = f"{path().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(there, uri=True, timeout=20)) as source, closing(sqlite3.connect(target)) as made:
            source.backup(made)
            made.execute("PRAGMA journal_mode=DELETE")  # one file, nothing beside it
    except sqlite3.Error as error:
        raise OSError(errno.EIO, str(error)) from error
    return examine(target)


def examine(file: Path) -> list[str]:
    """The migrations of a copy. Raises Invalid for a damaged one, or one with triggers or views: Berth makes none."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as copy:
            copy.execute("PRAGMA trusted_schema=OFF")
            if copy.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise broken(N_("its database is damaged"))
            if copy.execute("SELECT 1 FROM sqlite_master WHERE type IN ('trigger', 'view')").fetchone():
                raise broken(N_("its database is none of Berth's"))
            rows = copy.execute("SELECT app, name FROM django_migrations ORDER BY id").fetchall()
    except sqlite3.DatabaseError as error:
        raise broken(N_("its database is damaged")) from error
    return [f"{app}.{name}" for app, name in rows]


def fold(file: Path) -> None:
    """Have it whole in its one file, with no journal beside it. Raises OperationalError while a process has it open."""
    with closing(sqlite3.connect(file, timeout=2)) as one:
        # SQLite grants this to the only one that has the file open.
        one.execute("PRAGMA journal_mode=DELETE")


def close_old() -> None:
    """Have the present database whole in its one file. Raises Conflict while a process has it open.

    One that is damaged is left as it is, with what lies beside it.
    """
    connection.close()
    if not path().exists():
        return
    try:
        fold(path())
    except sqlite3.OperationalError as error:
        raise at_work() from error
    except sqlite3.DatabaseError:
        pass


def work_on(file: Path) -> None:
    """From here on this process's database is `file`."""
    connection.close()
    connection.settings_dict["NAME"] = file
