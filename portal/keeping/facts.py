"""What an installation is: its version, its migrations, its key's fingerprint, whether somebody works in it."""

import hashlib
import hmac
import tomllib
from datetime import timedelta

from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from broker.core import clock
from broker.core.errors import BerthError, Conflict
from broker.core.text import gettext_noop as N_
from broker.jobs.duties import Duty

# So long ago has the last duty begun when Berth was stopped; the quickest come round every two seconds.
STOPPED = timedelta(seconds=10)
# One row in any of them is somebody's work.
_LIVED_IN = ("directories_user", "virt_virtualmachine", "virt_host", "virt_storagedomain")


class NoRoom(BerthError):
    """There is not enough space for what is to be written."""

    code = "no-space"


def version() -> str:
    """Berth's own."""
    project = tomllib.loads((settings.BASE_DIR / "pyproject.toml").read_text())["project"]
    return str(project["version"])


def fingerprint(key: str) -> str:
    """Tells one secret key from another without telling it."""
    return hmac.new(key.encode(), b"backup of the manager", hashlib.sha256).hexdigest()[:32]


def known_migrations() -> set[str]:
    """Those that this Berth has, as "app.name"."""
    return {f"{app}.{name}" for app, name in MigrationLoader(None, ignore_no_migrations=True).disk_migrations}


def applied_migrations() -> list[str]:
    """Those of Berth that the database has. Empty where it has no tables."""
    if "django_migrations" not in connection.introspection.table_names():
        return []
    with connection.cursor() as cursor:
        cursor.execute("SELECT app, name FROM django_migrations ORDER BY id")
        return [f"{app}.{name}" for app, name in cursor.fetchall()]


def lived_in() -> str:
    """What there is in the database that a restore would put away: a table that has rows; "" when nothing."""
    tables = set(connection.introspection.table_names())
    if strange := sorted(tables - {*connection.introspection.django_table_names(), "django_migrations"}):
        return strange[0]
    with connection.cursor() as cursor:
        for table in _LIVED_IN:
            if table in tables:
                cursor.execute(f"SELECT 1 FROM {connection.ops.quote_name(table)} LIMIT 1")  # noqa: S608 - ours
                if cursor.fetchone():
                    return table
    return ""


def refuse_at_work() -> None:
    """Raise Conflict while a Berth does its duties on this database."""
    if Duty._meta.db_table not in connection.introspection.table_names():
        return
    now = clock.now()
    if Duty.objects.filter(began_at__gt=now - STOPPED).exists() or Duty.objects.filter(busy_until__gt=now).exists():
        raise at_work()


def at_work() -> Conflict:
    return Conflict(
        N_("Berth is at work on this database, or was a moment ago."), rule="keeping.at-work",
        fix=N_("Stop all of its processes on all machines, wait half a minute, and do it again."),
    )  # fmt: skip
