"""Between two pieces of work of a thread that lives on: its line to the database is put away, where that does good.

A line to a server may break, and goes back to the pool; one to SQLite is a file of this machine, which is opened with
seven statements and is kept.
"""

from django.db import close_old_connections, connection


def rest() -> None:
    if connection.vendor != "sqlite" or connection.errors_occurred or not connection.autocommit:
        close_old_connections()
