"""The same code as five processes on PostgreSQL and Redis; and the refusal where they could not reach each other."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.e2e.server import ROOT
from tests.servers import postgres, redis

PROCESSES = ("web", "worker", "scheduler", "monitor", "gateway")


def manage(environment, *words, **options):
    return subprocess.Popen([sys.executable, "manage.py", *words], cwd=ROOT, env=environment, **options)


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.timeout(180)
def test_five_processes(tmp_path):
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as probe:
        address = stack.enter_context(redis.running())
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("BERTH_")},
            "BERTH_DATA_DIR": str(tmp_path),
            "BERTH_LISTEN": listen,
            "BERTH_DATABASE_URL": stack.enter_context(postgres.running(migrated=True)),
            "BERTH_BROKER_URL": f"redis://{address}/0",
            "BERTH_REDIS_URL": f"redis://{address}/1",
        }
        for words in (("migrate", "-v0"), ("collectstatic", "--no-input", "-v0")):
            assert manage(environment, *words).wait(120) == 0
        logs = {name: (tmp_path / f"{name}.log").open("wb") for name in PROCESSES}
        running = {name: manage(environment, name, stdout=logs[name], stderr=logs[name]) for name in PROCESSES}
        try:
            assert wait_ready(f"http://{listen}/readyz"), "no duty was done"
            with urllib.request.urlopen(f"http://{listen}/sign-in") as page:
                assert b"Sign in" in page.read()
            assert {name: process.poll() for name, process in running.items()} == dict.fromkeys(PROCESSES)
        finally:
            for process in running.values():
                process.send_signal(signal.SIGTERM)
            codes = {name: process.wait(20) for name, process in running.items()}
        assert codes == dict.fromkeys(PROCESSES, 0)


def wait_ready(url: str) -> bool:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError),
            urllib.request.urlopen(url, timeout=5) as answer,
        ):
            if answer.status == 200:
                return True
        time.sleep(0.3)
    return False


@pytest.mark.parametrize("name", ["web", "worker", "scheduler", "monitor"])
def test_alone_without_a_broker_each_refuses(name, tmp_path):
    environment = {key: value for key, value in os.environ.items() if not key.startswith("BERTH_")}
    process = manage(
        environment | {"BERTH_DATA_DIR": str(tmp_path)}, name, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    _, said = process.communicate(timeout=60)
    assert process.returncode != 0
    assert b"BERTH_BROKER_URL" in said
    assert b"Traceback" not in said
