"""`… --enrol MANAGER INVITATION`: make this machine a host. The code is asked for, or read from standard input."""

import getpass
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

from . import certificates, wire
from .config import Config


def read_code() -> str:
    """From the terminal without showing it, or from a pipe; never from the command line, which everybody can read."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return getpass.getpass("Code: ").strip()


def enrol(manager: str, invitation: str, code: str, path: Path, *, root: Path = Path("/")) -> Config:
    """Raises OSError when the manager refuses or does not answer, wire.Untrue when it is not the manager."""
    key, request = certificates.request()
    answer = wire.post(
        f"{manager}/agent/enrol", code,
        {"count": time.time_ns(), "invitation": invitation, "csr": request, "hostname": socket.getfqdn()},
        purpose="enrol",
    )  # fmt: skip
    certificates.install(key, answer["certificate"], answer["authority"], root=root)
    host = answer["host"]
    known = Config.load(path) if path.exists() else Config()
    config = replace(known, manager=manager, host=host, secret=wire.derived(code, host)).told(answer)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    config.save(path)
    certificates.reload()  # where libvirtd listens with TLS already; elsewhere it reads them when it begins to
    return config
