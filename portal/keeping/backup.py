"""Make the archive: a dump as of one moment, the secret key, and the manifest over both."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.db import connection

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Conflict, Denied, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.settings import env

from . import archive, facts, places, postgres, sqlite
from .manifest import DUMPS, KEY, Manifest

ACTOR = Actor.system("manage.py")
_SPARE = 4 << 20  # what the tar and the file system take beside


@dataclass(frozen=True)
class Made:
    """`size` in bytes; `left_out`: what of the data directory somebody might miss, and why it is not in."""

    path: Path
    size: int
    told: Manifest
    left_out: list[tuple[str, str]]


def backup(target: Path) -> Made:
    """Write one archive at `target`. Others may go on working meanwhile.

    Raises Conflict when it exists, Invalid or Denied for a folder that cannot be used, NoRoom, Unavailable without
    pg_dump; then nothing is left behind.
    """
    target = Path(target).absolute()
    lite = connection.vendor == "sqlite"
    if not lite:
        postgres.require_tools("pg_dump")
    _check(target, 2 * (sqlite.size() if lite else postgres.size()))
    if not facts.applied_migrations():
        raise Conflict(
            N_("The database has no tables, so there is nothing to keep."), rule="keeping.empty",
            fix=N_("See whether BERTH_DATA_DIR and BERTH_DATABASE_URL are those of the installation."),
        )  # fmt: skip
    left_out = places.left_out(settings.DATA_DIR)
    try:
        with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as scratch:
            made = _made(target, Path(scratch), lite, left_out)
    except OSError as error:
        raise no_room(target.parent, error) from error
    record("manager.backed-up", actor=ACTOR, message=N_("The manager was backed up to %(path)s"), path=target)
    return made


def _made(target: Path, scratch: Path, lite: bool, left_out: list[tuple[str, str]]) -> Made:
    engine: Literal["sqlite", "postgresql"] = "sqlite" if lite else "postgresql"
    files = {DUMPS[engine]: scratch / DUMPS[engine]}
    at = clock.now()
    migrations = (sqlite.dump if lite else postgres.dump)(files[DUMPS[engine]])
    if not env.secret_key.get_secret_value():
        files[KEY] = settings.DATA_DIR / places.KEY
    told = Manifest(
        berth=facts.version(), made_at=at, engine=engine, db_schema="" if lite else postgres.schema(),
        migrations=migrations, key=facts.fingerprint(settings.SECRET_KEY),
        key_in="file" if KEY in files else "environment",
        members={name: archive.described(path) for name, path in files.items()},
    )  # fmt: skip
    return Made(target, archive.write(target, told, files, scratch), told, left_out)


def _check(target: Path, need: int) -> None:
    folder = target.parent
    if target.exists() or target.is_symlink():
        raise archive.exists(target)
    if not folder.is_dir():
        raise Invalid(N_("%(path)s is no directory."), rule="keeping.folder", path=folder, fix=N_("Make it first."))
    with_room(folder, need + _SPARE)


def with_room(folder: Path, need: int) -> None:
    """Raise Denied for a folder that cannot be written to, NoRoom when it has not `need` bytes free."""
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except PermissionError as error:
        raise Denied(
            N_("%(path)s cannot be written to."),
            path=folder,
            fix=N_("Do it as the user that Berth runs as, or as root."),
        ) from error
    except OSError as error:
        raise no_room(folder, error) from error
    free = shutil.disk_usage(folder).free
    if free < need:
        raise facts.NoRoom(
            N_("%(path)s has %(free)s MiB free; up to %(need)s MiB are needed."), path=folder, free=free >> 20,
            need=(need >> 20) + 1, fix=N_("Free some space, or take a directory on a larger disk."),
        )  # fmt: skip


def no_room(folder: Path, error: OSError) -> facts.NoRoom:
    return facts.NoRoom(
        N_("Writing into %(path)s failed: %(why)s."), path=folder, why=error.strerror or error,
        fix=N_("Nothing is left behind there. Take another directory."),
    )  # fmt: skip
