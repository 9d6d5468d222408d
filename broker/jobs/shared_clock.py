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


def look() -> None:
    """Go by the database's clock as it is now, unless that was done a moment ago."""
    global _asked_at
    if connection.vendor == "postgresql" and clock.steady() - _asked_at > EVERY:
        _asked_at = clock.steady()
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            clock.follow(cursor.fetchone()[0])


def _connected(**_: Any) -> None:
    look()


def begin() -> None:
    connection_created.connect(_connected, dispatch_uid="shared clock")
