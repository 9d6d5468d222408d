"""A pytest plugin (`-p tests.environment`): loaded before Django reads its settings, so that no test touches a real
installation. Sets a data directory of the run's own, which goes with it, and gives each of several test processes (-n)
databases of its own on Redis; pytest-django does so with the others."""

import os
import shutil
import tempfile
from pathlib import Path

if "BERTH_DATA_DIR" not in os.environ:
    os.environ["BERTH_DATA_DIR"] = tempfile.mkdtemp(prefix="berth-test-")
    os.environ["BERTH_TEST_DIR_OWNER"] = str(os.getpid())
os.environ.setdefault("BERTH_DEBUG", "1")
# tests/servers/postgres.py gives 0 and 1; a Redis that was told nothing else has 16.
for name in ("BERTH_BROKER_URL", "BERTH_REDIS_URL"):
    server, _, number = os.environ.get(name, "").rpartition("/")
    if server.startswith("redis://") and number.isdigit():
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        os.environ[name] = f"{server}/{int(number) + 2 * worker}"
(Path(os.environ["BERTH_DATA_DIR"]) / "static").mkdir(parents=True, exist_ok=True)  # where pages look for their files


def pytest_unconfigure() -> None:
    if os.environ.get("BERTH_TEST_DIR_OWNER") == str(os.getpid()):
        shutil.rmtree(os.environ["BERTH_DATA_DIR"], ignore_errors=True)
