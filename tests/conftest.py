"""What all tests share: the cast of people, and no silent skips in CI."""

import os

import pytest

pytest_plugins = ["tests.lab.fixtures"]


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
