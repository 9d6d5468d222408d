"""The database in PostgreSQL: dumped and restored by its own tools, the present tables set aside in another schema.

A password goes to the tools by their environment, never on a command line. Statements on tables name them as the
catalog does, quoted.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

from django.db import connection, transaction

from broker.core import clock
from broker.core.errors import Conflict, Unavailable
from broker.core.text import gettext_noop as N_

from .facts import applied_migrations, at_work

_LEAVING = 3.0  # seconds that the server takes to notice who has left
# A lock that somebody else holds is somebody else at work.
_LOCK_TIMEOUT = "-c lock_timeout=10s"


def require_tools(*names: str) -> None:
    """Raise Unavailable when one of PostgreSQL's tools is not installed here."""
    for name in names:
        if not shutil.which(name):
            raise Unavailable(
                N_("%(tool)s is not installed here."), rule="keeping.tools", tool=name,
                fix=N_("Install PostgreSQL's client of the server's version: apt-get install postgresql-client."),
            )  # fmt: skip


def size() -> int:
    """Bytes that the database takes on its server; a dump is compressed and has no indexes."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        return int(cursor.fetchone()[0])


def schema() -> str:
    """The schema that Berth's tables are in."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_schema()")
        return str(cursor.fetchone()[0] or "public")


def dump(target: Path) -> list[str]:
    """A dump as of one moment, while others go on writing. Returns the migrations of that moment."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT pg_export_snapshot()")
        moment = cursor.fetchone()[0]
        migrations = applied_migrations()
        _call(
            "pg_dump", "--format=custom", f"--schema={_pattern(schema())}", f"--snapshot={moment}",
            "--no-owner", "--no-privileges", f"--file={target}",
        )  # fmt: skip
    return migrations


def refuse_others() -> None:
    """Raise Conflict while anybody else is connected. Behind a pooler nothing is asked: its lines prove nothing."""
    if connection.settings_dict["OPTIONS"].get("prepare_threshold") is None:
        return
    _have_one_line()
    until = clock.steady() + _LEAVING
    while _others():
        if clock.steady() > until:
            raise at_work()
        time.sleep(0.1)


def _have_one_line() -> None:
    """This process's own pool would be others."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]
    connection.settings_dict["OPTIONS"].pop("pool", None)


def _others() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])


def set_aside(name: str) -> None:
    """Move every table into a new schema `name`, or none of them."""
    quote = connection.ops.quote_name
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '10s'")
        cursor.execute(f"CREATE SCHEMA {quote(name)}")
        for table in _tables(schema()):
            cursor.execute(f"ALTER TABLE {quote(schema())}.{quote(table)} SET SCHEMA {quote(name)}")


def put_back(name: str) -> None:
    """What `set_aside` moved is where it was, and what came in its place is gone."""
    quote, here = connection.ops.quote_name, schema()
    with transaction.atomic(), connection.cursor() as cursor:
        for table in _tables(here):
            cursor.execute(f"DROP TABLE {quote(here)}.{quote(table)} CASCADE")
        for table in _tables(name):
            cursor.execute(f"ALTER TABLE {quote(name)}.{quote(table)} SET SCHEMA {quote(here)}")
        cursor.execute(f"DROP SCHEMA {quote(name)}")


def forget(name: str) -> None:
    """Drop what was set aside: it was empty."""
    with connection.cursor() as cursor:
        cursor.execute(f"DROP SCHEMA {connection.ops.quote_name(name)} CASCADE")


def load(dump: Path, db_schema: str) -> None:
    """All of the dump in one transaction, into a schema without tables."""
    _call(
        "pg_restore", "--single-transaction", "--exit-on-error", "--no-owner", "--no-privileges",
        f"--schema={db_schema}", f"--dbname={connection.settings_dict['NAME']}", str(dump),
    )  # fmt: skip


def listed(dump: Path) -> None:
    """Raise Conflict when this computer's pg_restore cannot read the dump's table of contents."""
    _call("pg_restore", "--list", str(dump))


def _tables(db_schema: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relkind IN ('r', 'p') ORDER BY c.relname",
            [db_schema],
        )
        return [name for (name,) in cursor.fetchall()]


def _pattern(name: str) -> str:
    return '"{}"'.format(name.replace('"', '""'))


def _call(*argv: str) -> None:
    """Run one of PostgreSQL's tools. Raises Conflict with the last thing that it said."""
    given = connection.settings_dict
    words = {
        "PGHOST": given["HOST"], "PGPORT": given["PORT"], "PGUSER": given["USER"], "PGPASSWORD": given["PASSWORD"],
        "PGDATABASE": given["NAME"], "PGOPTIONS": _LOCK_TIMEOUT, "PGAPPNAME": "berth-keeping", "LC_ALL": "C.UTF-8",
    }  # fmt: skip
    # Nothing of Berth's own settings is theirs to know.
    own = {name: value for name, value in os.environ.items() if not name.startswith("BERTH_")}
    done = subprocess.run(
        [argv[0], *(("--no-password",) if "--list" not in argv else ()), *argv[1:]],
        env=own | {name: str(value) for name, value in words.items() if value},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit {done.returncode}"]
        raise Conflict(
            N_("%(tool)s failed: %(why)s"), rule="keeping.tools", tool=argv[0],
            why=next((line for line in said if "error:" in line), said[-1])[:300],
            fix=N_("Use PostgreSQL's client of the server's version, and a database user that may do this."),
        )  # fmt: skip
