"""The whole of Berth as `make run` starts it, on a data directory and a port of its own."""

import json
import os
import re
import secrets
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


PEOPLE = """
import json, sys
from broker.access.actions.grant import grant
from broker.access.actor import Actor
from broker.access.models import Role
from broker.access.roles import sync_builtin_roles
from broker.directories.actions.create_user import create_user
from broker.directories.models import Directory

Directory.objects.get_or_create(kind="local", defaults={"name": "Local"})
sync_builtin_roles()
setup = Actor.system("setup")
for name, password in json.load(sys.stdin).items():
    user = create_user(actor=setup, username=name, display_name=name.title(), password=password)
    if name == "admin":
        grant(actor=setup, role=Role.objects.get(name="admin"), user=user)
"""


@contextmanager
def running(uri: str, *, from_nothing: bool = False, **environment: str) -> Iterator[Berth]:
    """Start `manage.py serve --setup-demo` over the host at `uri`; stopped with SIGINT as by Ctrl-C.

    `from_nothing`: it makes its tables itself, as on the first day; else it finds them there, and they are empty.
    """
    words = ["--setup-demo", "--image", "tiny", "--host-uri", uri]
    with _serving("127.0.0.1", words, {}, environment, tables=not from_nothing) as berth:
        yield berth


@contextmanager
def empty(address: str, *names: str, **environment: str) -> Iterator[Berth]:
    """One without hosts, storage and machines, on an address that hosts elsewhere reach; these people can sign in."""
    passwords = {name: secrets.token_urlsafe(9) for name in names}
    with _serving(address, ["--no-libvirtd"], passwords, environment, tables=True) as berth:
        yield berth


@contextmanager
def _serving(
    address: str, words: list[str], passwords: dict[str, str], more: dict[str, str], *, tables: bool
) -> Iterator[Berth]:
    with socket.create_server((address, 0)) as probe:
        listen = f"{address}:{probe.getsockname()[1]}"
    data = Path(tempfile.mkdtemp(prefix="berth-e2e-"))
    data.chmod(0o755)
    log = data / "serve.log"
    if tables:
        shutil.copyfile(prepared.sqlite_file(), data / "berth.sqlite3")
    env = {name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "DJANGO_"))}
    env |= {"BERTH_DATA_DIR": str(data), "BERTH_LISTEN": listen, **more}
    if cache := os.environ.get("BERTH_CACHE_DIR"):
        env["BERTH_CACHE_DIR"] = cache
    if passwords:
        setup = [sys.executable, "manage.py", "shell", "-v0", "-c", PEOPLE]
        subprocess.run(
            setup, cwd=ROOT, env=env, input=json.dumps(passwords), text=True, check=True, timeout=READY_SECONDS
        )
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "serve", *words], cwd=ROOT, env=env, stdout=out, stderr=out,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + READY_SECONDS
        while "Open http" not in (text := log.read_text()) or not _answers(listen):
            assert process.poll() is None, text
            assert time.monotonic() < deadline, text
            time.sleep(0.1)
        passwords = passwords or dict(re.findall(r"│ (\w+)\s+(\S+)\s+│", text))
        yield Berth(f"http://{listen}", passwords, data, process, log)
    finally:
        stop(process)


def _answers(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


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
