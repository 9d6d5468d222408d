"""Whether the database is of this version."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor


def pending() -> bool:
    """True when migrations have to be applied."""
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))
