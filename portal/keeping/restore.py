"""Put an archive in the place of an installation: everything is checked and made ready first, then renamed.

What was there is set aside, never overwritten: the files in a folder of the data directory, the tables of PostgreSQL in
a schema. Whatever fails puts them back.
"""

import errno
import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection

from broker.core import clock
from broker.core.errors import BerthError, Conflict
from broker.core.text import gettext_noop as N_
from broker.settings import env

from . import archive, facts, places, postgres, sqlite
from .backup import no_room, with_room
from .manifest import KEY, Manifest, broken
from .settling import settle

_KEY = re.compile(r"[\x21-\x7e]{16,1024}\s?")
_SPARE = 16 << 20


@dataclass(frozen=True)
class Restored:
    """`aside`: where what was there before is now, "" when there was nothing to keep."""

    told: Manifest
    aside: str
    cancelled: int
    going_on: int


def restore(source: Path, *, replace: bool = False, say: Callable[[str], None] = lambda line: None) -> Restored:
    """Have this installation be what the archive holds; `replace`: even if there is something in it.

    `say` is told where the old ones will be before they are moved. Raises Invalid for an archive that is none, Conflict
    for one that does not fit or an installation in use, NoRoom, Unavailable without pg_restore; then all is as before.
    """
    source, folder = Path(source).absolute(), Path(settings.DATA_DIR).absolute()
    told = archive.look(source)
    _check_fit(told)
    _check_here(replace)
    with_room(folder, source.stat().st_size + _SPARE)
    try:
        with tempfile.TemporaryDirectory(prefix=".restoring-", dir=folder) as name:
            scratch = Path(name)
            told = archive.unpack(source, scratch)
            _check_fit(told)
            _check_key(told, scratch)
            return (_lite if told.engine == "sqlite" else _postgres)(told, scratch, say)
    except OSError as error:
        raise no_room(folder, error) from error


# -- checks --------------------------------------------------------------------------------------------------


def _check_fit(told: Manifest) -> None:
    if told.engine != connection.vendor:
        raise Conflict(
            N_("The archive is of a manager on %(theirs)s, and this one is on %(ours)s."), rule="keeping.engine",
            theirs=told.engine, ours=connection.vendor,
            fix=N_("Set BERTH_DATABASE_URL as it was there, to an empty database."),
        )  # fmt: skip
    if newer := sorted(set(told.migrations) - facts.known_migrations()):
        raise Conflict(
            N_("The archive is of Berth %(version)s, which is newer than this one: %(migration)s is not known here."),
            rule="keeping.newer", version=told.berth, migration=newer[0],
            fix=N_("Restore it with the Berth that made it, or with a newer one."),
        )  # fmt: skip
    if not told.migrations:
        raise broken(N_("its database has no tables"))
    if told.engine == "postgresql":
        postgres.require_tools("pg_restore")
        if told.db_schema != postgres.schema():
            raise Conflict(
                N_("The archive's tables are in the schema %(theirs)s, and here they would be in %(ours)s."),
                rule="keeping.schema", theirs=told.db_schema, ours=postgres.schema(),
                fix=N_("Have the database user's search_path begin with that schema."),
            )  # fmt: skip


def _check_here(replace: bool) -> None:
    try:
        lived_in = facts.lived_in()
        if lived_in and not replace:
            raise Conflict(
                N_("This installation is not empty: there are rows in %(table)s."),
                rule="keeping.empty", table=lived_in,
                fix=N_("Restore into a new one, or say --replace to set this one aside."),
            )  # fmt: skip
        facts.refuse_at_work()
    except DatabaseError as error:
        if connection.vendor == "sqlite" and replace:
            return  # a damaged file is what a restore is for
        raise Conflict(
            N_("The present database cannot be read: %(why)s"), rule="keeping.database", why=str(error).strip(),
            fix=N_("With SQLite: say --replace to set it aside. With PostgreSQL: see to the server."),
        ) from error  # fmt: skip
    if connection.vendor == "postgresql":
        postgres.refuse_others()


def _check_key(told: Manifest, scratch: Path) -> None:
    """The key that this Berth will have is the one that the database's secrets are sealed with."""
    given = env.secret_key.get_secret_value()
    if told.key_in == "file":
        text = (scratch / KEY).read_bytes().decode("ascii", "replace")
        if not _KEY.fullmatch(text) or facts.fingerprint(text) != told.key:
            raise broken(N_("its secret key is none"))
        if not given:
            return
        fix = N_("Start without BERTH_SECRET_KEY, or with the one in the archive.")
    else:
        fix = N_("Set BERTH_SECRET_KEY to the one that the manager had.")
    if not given or facts.fingerprint(given) != told.key:
        raise Conflict(
            N_("BERTH_SECRET_KEY is not the key that the secrets in the archive are sealed with."),
            rule="keeping.key",
            fix=fix,
        )


# -- SQLite --------------------------------------------------------------------------------------------------


def _lite(told: Manifest, scratch: Path, say: Callable[[str], None]) -> Restored:
    """The copy is migrated and settled where it is; only what is ready comes into place."""
    new, old = scratch / told.dump, sqlite.path()
    if sqlite.examine(new) != told.migrations:
        raise broken(N_("its database is not the one that its manifest tells of"))
    keep = _worth_keeping()
    sqlite.close_old()
    sqlite.work_on(new)
    try:
        jobs = _made_ready(told)
    finally:
        sqlite.work_on(old)
    _single_file(new)
    with _Swap(settings.DATA_DIR, keep, say) as swap:
        if told.key_in == "file" and not env.secret_key.get_secret_value():
            swap.put(scratch / KEY, settings.DATA_DIR / places.KEY)
        # Of a damaged one: a journal would be played into the new database.
        for end in ("-wal", "-shm"):
            swap.take_away(Path(f"{old}{end}"))
        swap.put(new, old)
    return Restored(told, str(swap.aside) if keep else "", **jobs)


def _single_file(new: Path) -> None:
    """Whole in one file, and on the disk."""
    try:
        sqlite.fold(new)
    except sqlite3.Error as error:
        raise OSError(errno.EIO, str(error)) from error
    handle = os.open(new, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# -- PostgreSQL ----------------------------------------------------------------------------------------------


def _postgres(told: Manifest, scratch: Path, say: Callable[[str], None]) -> Restored:
    dump, keep = scratch / told.dump, _worth_keeping()
    postgres.listed(dump)
    name = f"before_restore_{clock.now():%Y%m%d_%H%M%S}"
    if keep:
        say(f"The present tables go to the schema {name}.")
    with _Swap(settings.DATA_DIR, keep, say) as swap:
        postgres.set_aside(name)
        swap.undo.append(lambda: postgres.put_back(name))
        postgres.load(dump, told.db_schema)
        if facts.applied_migrations() != told.migrations:
            raise broken(N_("its database is not the one that its manifest tells of"))
        jobs = _made_ready(told)
        if told.key_in == "file" and not env.secret_key.get_secret_value():
            swap.put(scratch / KEY, settings.DATA_DIR / places.KEY)
    if not keep:
        postgres.forget(name)
    return Restored(told, f"schema {name}" + (f", {swap.aside}" if swap.moved else "") if keep else "", **jobs)


# -- both ----------------------------------------------------------------------------------------------------


def _worth_keeping() -> bool:
    try:
        return bool(facts.lived_in())
    except DatabaseError:
        return True


def _made_ready(told: Manifest) -> dict[str, int]:
    try:
        call_command("migrate", verbosity=0, interactive=False)
        return settle(told.made_at)
    except BerthError:
        raise
    except Exception as error:  # whatever is in it: it is put back, and one sentence says why
        raise Conflict(
            N_("The archive's database could not be brought up to date: %(why)s"), rule="keeping.migrate",
            why=str(error).strip()[:300], fix=N_("Nothing was changed. Restore it with the Berth that made it."),
        ) from error  # fmt: skip


class _Swap:
    """Files put in the place of others, which are kept in `aside` (or dropped at the end); all put back on failure."""

    def __init__(self, folder: Path, keep: bool, say: Callable[[str], None]):
        self.aside = folder / f"{places.ASIDE}{clock.now():%Y%m%d-%H%M%S}"
        self.keep, self.say, self.moved = keep, say, False
        self.undo: list[Callable[[], object]] = []

    def __enter__(self) -> "_Swap":
        return self

    def put(self, new: Path, place: Path) -> None:
        """`new` is at `place` from now on, in one rename; what was there has another name before."""
        if place.exists():
            kept = self._kept(place)
            os.link(place, kept)
            self.undo.append(lambda: kept.replace(place))
        else:
            self.undo.append(lambda: place.unlink(missing_ok=True))
        owner = place.parent.stat()
        if os.geteuid() == 0:
            os.chown(new, owner.st_uid, owner.st_gid)
        new.replace(place)
        archive.sync_folder(place.parent)

    def take_away(self, place: Path) -> None:
        """What is at `place`, if anything, has no successor."""
        if place.exists():
            kept = self._kept(place)
            self.undo.append(lambda: kept.replace(place))
            place.replace(kept)

    def _kept(self, place: Path) -> Path:
        """Where it goes."""
        if not self.moved:
            self.aside.mkdir(mode=0o700)
            self.moved = True
            if self.keep:
                self.say(f"The present files go to {self.aside}.")
        return self.aside / place.name

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            for step in reversed(self.undo):
                step()
        if self.moved and (kind is not None or not self.keep):
            shutil.rmtree(self.aside, ignore_errors=True)
