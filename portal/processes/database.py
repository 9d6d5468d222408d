"""Whether the database is of this version."""

from pathlib import Path

from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def protect() -> None:
    """A new SQLite file is readable by its owner alone; its directory stays passable, for QEMU's disks lie below it."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite" and not Path(name).exists():
        Path(name).touch(mode=0o600)


def pending() -> bool:
    """True when migrations have to be applied."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
