"""All processes go by the clock of the database that they share: leases and turns are compared between machines.

It is asked with a new connection and by duties, a minute apart at least; in between the steady clock counts on, so that
nothing follows when a machine's own clock jumps. With SQLite all runs on one machine, by whose clock it goes.
"""

from typing import Any

from django.db import connection
from django.db.backends.signals import connection_created

from broker.core import clock

EVERY = 60.0
_asked_at = float("-inf")


def look(database: Any = connection) -> None:
    """Go by the clock of `database` as it is now, unless that was done a moment ago."""
    global _asked_at
    if database.vendor == "postgresql" and clock.steady() - _asked_at > EVERY:
        _asked_at = clock.steady()
        with database.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            clock.follow(cursor.fetchone()[0])


def _connected(connection: Any, **_: Any) -> None:
    look(connection)  # the very one that was made: to ask another would make another


def begin() -> None:
    connection_created.connect(_connected, dispatch_uid="shared clock")
