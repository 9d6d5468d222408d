"""A pytest plugin (`-p tests.environment`): loaded before Django reads its settings, so that no test touches a real
installation. Sets a data directory of the run's own, which goes with it."""

import os
import shutil
import tempfile
from pathlib import Path

if "BERTH_DATA_DIR" not in os.environ:
    os.environ["BERTH_DATA_DIR"] = tempfile.mkdtemp(prefix="berth-test-")
    os.environ["BERTH_TEST_DIR_OWNER"] = str(os.getpid())
os.environ.setdefault("BERTH_DEBUG", "1")
(Path(os.environ["BERTH_DATA_DIR"]) / "static").mkdir(parents=True, exist_ok=True)  # where pages look for their files


def pytest_unconfigure() -> None:
    if os.environ.get("BERTH_TEST_DIR_OWNER") == str(os.getpid()):
        shutil.rmtree(os.environ["BERTH_DATA_DIR"], ignore_errors=True)
