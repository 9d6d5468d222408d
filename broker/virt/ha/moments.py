"""The clock that decisions about hosts go by: the database's, which all managers share."""

from datetime import datetime

from django.db import connection

from broker.core import clock


def now() -> datetime:
    """PostgreSQL's own time; with SQLite everything runs on one machine, whose clock it is."""
    if connection.vendor != "postgresql":
        return clock.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment
