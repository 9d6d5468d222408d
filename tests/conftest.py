"""What all tests share: the cast of people, a database that is a copy, and no silent skips in CI."""

import gc
import os
import shutil
from pathlib import Path

import hypothesis
import pytest

pytest_plugins = ["tests.lab.fixtures"]
gc.disable()  # until all is collected


def pytest_collection_finish() -> None:
    """Ten thousand tests are many objects, and none of them goes: the collector need not look at them each time."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_configure() -> None:
    """Passwords of the cast are hashed cheaply: four Argon2 hashes cost a second and a half a test.

    Addresses are read once for each URLconf: Django keeps them under its name, and forgets all of them whenever a test
    names another, which made up a quarter of what tests of pages cost.
    """
    import django.urls
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    django.urls.clear_url_caches = lambda: None
    # How long an example took says how busy the machine was.
    hypothesis.settings.register_profile("busy", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
    hypothesis.settings.load_profile("busy")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failed one: what cannot run must be said, not hidden."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


@pytest.fixture(scope="session")
def django_db_modify_db_settings(django_db_modify_db_settings_parallel_suffix):
    """The database of the run begins as a copy of one that has all migrations; pytest-django then looks for more."""
    from django.db import connection

    from tests import prepared

    given = connection.settings_dict["TEST"]
    if connection.vendor == "sqlite":
        shutil.copyfile(prepared.sqlite_file(), given["NAME"])
    else:
        given["TEMPLATE"] = os.environ.get("BERTH_TEST_TEMPLATE")
        connection.ops.sql_flush = _emptied
    yield
    if connection.vendor == "sqlite":
        connection.close()
        for end in ("", "-wal", "-shm"):
            Path(f"{given['NAME']}{end}").unlink(missing_ok=True)


def _emptied(style, tables, **options) -> list[str]:
    """What empties these tables between tests. PostgreSQL takes long to truncate hundreds of which few have rows."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(f"(SELECT '{name}' FROM \"{name}\" LIMIT 1)" for name in tables))
        full = [name for (name,) in cursor.fetchall()]
    # All of them become empty, so nothing that refers to a row is left: nobody has to look for it.
    off, on = "SET LOCAL session_replication_role = replica", "SET LOCAL session_replication_role = DEFAULT"
    return [off, *(f'DELETE FROM "{name}"' for name in full), on]


@pytest.fixture(scope="session")
def django_db_keepdb():
    """The copy is not to be replaced by an empty file."""
    from django.db import connection

    return connection.vendor == "sqlite"


@pytest.fixture
def world(db):
    """Alice (entitled), Bob (by her group), Charlie (a stranger), Root (admin); see tests/world.py."""
    from tests.world import World

    return World.build()
