"""`manage.py serve`: stops everything it started and nothing else; says in one sentence why it cannot start."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e import server
from tests.e2e.conftest import clear

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def _clear(request):
    yield
    if "lab_host" in request.fixturenames:
        clear(request.getfixturevalue("lab_host").uri)


def children(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, task.read_text().split()):
            found += [child, *children(child)]
    return found


def test_ctrl_c_stops_what_was_started_and_leaves_the_machines(lab_host, tiny_image, connection):
    with server.running(lab_host.uri) as berth:
        deadline = time.monotonic() + 60
        while not (running := [seen for seen in connection.observe() if seen.power == "running"]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        ours = children(berth.process.pid)
        assert ours, "the gateway is a child"
        assert server.stop(berth.process) == 0
        assert [pid for pid in ours if Path(f"/proc/{pid}").exists()] == []
        assert {seen.uuid for seen in connection.observe() if seen.power == "running"} >= {
            seen.uuid for seen in running
        }
        text = berth.text()
    assert "left as they are" in text
    assert "Traceback" not in text


def test_the_passwords_are_printed_once_and_kept_hashed(lab_host, tiny_image):
    with server.running(lab_host.uri, from_nothing=True) as berth:
        assert set(berth.passwords) == {"admin", "alice", "bob"}
        server.stop(berth.process)
        stored = (berth.data / "berth.sqlite3").read_bytes()
        assert not any(password.encode() in stored for password in berth.passwords.values())
        assert (berth.data / "berth.sqlite3").stat().st_mode & 0o077 == 0
        assert (berth.data / "secret.key").stat().st_mode & 0o077 == 0


def test_a_port_in_use_is_one_clear_sentence(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = subprocess.run(
            [sys.executable, "manage.py", "serve", "--no-libvirtd"], cwd=server.ROOT, capture_output=True, text=True,
            env=os.environ | {"BERTH_LISTEN": listen, "BERTH_DATA_DIR": str(tmp_path)}, timeout=60,
        )  # fmt: skip
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert re.search(r"Port \d+ is in use.*LISTEN=127\.0\.0\.1:\d+", done.stderr, re.S)
