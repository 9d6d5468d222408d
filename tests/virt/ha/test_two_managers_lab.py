"""Either of two managers may die at any moment, and power management may lie: seen on real hosts (two_managers.py)."""

import os
import subprocess
import sys

import pytest

from tests.servers import postgres, redis
from tests.virt.ha.failover import ROOT


@pytest.mark.lab
@pytest.mark.timeout(400)
def test_one_dies_while_it_fences(lab_base, tmp_path):
    """Rows F18, F21, F22, F23, F27 and F44 of docs/faults.md."""
    base = lab_base / "managers"
    base.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "DJANGO_"))}
    with postgres.running(migrated=True) as database, redis.running() as address:
        environment = {
            **kept, "BERTH_DATA_DIR": str(tmp_path), "BERTH_DATABASE_URL": database, "BERTH_JOB_LEASE": "6",
            "BERTH_BROKER_URL": f"redis://{address}/0", "BERTH_REDIS_URL": f"redis://{address}/1",
            "BERTH_OBSERVE_EVERY": "2", "LAB_NUMBER": "177",
        }  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-m", "tests.virt.ha.two_managers", str(base)],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=380,
        )  # fmt: skip
    logs = "\n".join(path.read_text(errors="replace")[-6000:] for path in base.glob("*.log"))
    print(done.stdout)
    assert done.returncode == 0, f"{done.stdout}\n{logs}"
