"""What all tests share: the cast of people, and no silent skips in CI."""

import os

import pytest

pytest_plugins = ["tests.lab.fixtures"]


def pytest_configure() -> None:
    """Passwords of the cast are hashed cheaply: four Argon2 hashes cost a second and a half a test."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """In CI a skipped test is a failed one: what cannot run must be said, not hidden."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


@pytest.fixture
def world(db):
    """Alice (entitled), Bob (by her group), Charlie (a stranger), Root (admin); see tests/world.py."""
    from tests.world import World

    return World.build()
