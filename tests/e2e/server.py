"""The whole of Berth as `make run` starts it, on a data directory and a port of its own."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import prepared

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 150


@dataclass
class Berth:
    """A running server. `passwords` are those it printed."""

    url: str
    passwords: dict[str, str]
    data: Path
    process: subprocess.Popen
    log: Path

    def text(self) -> str:
        return self.log.read_text()


@contextmanager
def running(uri: str, *, from_nothing: bool = False, **environment: str) -> Iterator[Berth]:
    """Start `manage.py serve --setup-demo` over the host at `uri`; stopped with SIGINT as by Ctrl-C.

    `from_nothing`: it makes its tables itself, as on the first day; else it finds them there, and they are empty.
    """
    with socket.create_server(("127.0.0.1", 0)) as probe:
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
    data = Path(tempfile.mkdtemp(prefix="berth-e2e-"))
    data.chmod(0o755)
    log = data / "serve.log"
    if not from_nothing:
        shutil.copyfile(prepared.sqlite_file(), data / "berth.sqlite3")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "DJANGO_"))}
    env |= {"BERTH_DATA_DIR": str(data), "BERTH_LISTEN": listen, **environment}
    if cache := os.environ.get("BERTH_CACHE_DIR"):
        env["BERTH_CACHE_DIR"] = cache
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", "--setup-demo", "--image", "tiny", "--host-uri", uri],
            cwd=ROOT, env=env, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + READY_SECONDS
        while "Open http" not in (text := log.read_text()):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        passwords = dict(re.findall(r"│ (\w+)\s+(\S+)\s+│", text))
        yield Berth(f"http://{listen}", passwords, data, process, log)
    finally:
        stop(process)


def stop(process: subprocess.Popen) -> int:
    """Ctrl-C; kills only what does not go within 30 s."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(5)
            raise
    return process.returncode
