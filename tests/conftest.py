"""What all tests share: a data directory of their own, the cast of people, and no silent skips in CI."""

import os
import tempfile

# Before Django reads its settings: nothing of a real installation is touched.
os.environ.setdefault("BERTH_DATA_DIR", tempfile.mkdtemp(prefix="berth-test-"))
os.environ.setdefault("BERTH_DEBUG", "1")

import pytest


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
