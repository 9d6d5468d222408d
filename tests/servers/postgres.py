"""A private PostgreSQL on a unix socket, and a command to run anything on it:

    python -m tests.servers.postgres -- pytest -m postgres

starts PostgreSQL and Redis, sets BERTH_DATABASE_URL, BERTH_BROKER_URL and BERTH_REDIS_URL, runs the command and
stops both. PostgreSQL refuses to run as root, so then it runs as the first of `postgres` and `nobody`.
"""

import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from tests.servers import redis

DATABASE = "berth"
# A test server may lose its data: no fsync, so that commits cost what the code costs.
SETTINGS = {
    "listen_addresses": "", "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
    "max_connections": "200", "shared_buffers": "128MB", "autovacuum_naptime": "10s",
}  # fmt: skip


def binaries() -> Path:
    """Where initdb and pg_ctl are; the newest of several versions."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent


def _as_server() -> list[str]:
    """What goes before a command that must not run as root."""
    if os.geteuid() != 0:
        return []
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    raise RuntimeError("There is no user postgres or nobody to run PostgreSQL as")


@contextmanager
def running(**settings: str) -> Iterator[str]:
    """Yield the URL of an empty database on a server of its own; `settings` go over SETTINGS."""
    before, folder = _as_server(), Path(tempfile.mkdtemp(prefix="berth-pg-"))
    data, log = folder / "data", folder / "log"
    if before:
        shutil.chown(folder, int(before[1].partition("=")[2]), int(before[2].partition("=")[2]))
    tools = binaries()
    options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in {**SETTINGS, **settings}.items())
    try:
        _call(
            before,
            tools / "initdb",
            "-D",
            data,
            "-U",
            "berth",
            "--auth=trust",
            "-E",
            "UTF8",
            "--no-locale",
            "--no-sync",
        )
        _call(before, tools / "pg_ctl", "-D", data, "-l", log, "-w", "-o", f"-k {folder} {options}", "start")
        try:
            _call(before, tools / "createdb", "-h", folder, "-U", "berth", DATABASE)
            yield f"postgresql://berth@/{DATABASE}?host={quote(str(folder), safe='')}"
        finally:
            _call(before, tools / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _call(before: Sequence[str], *argv: object) -> None:
    done = subprocess.run(
        [*before, *map(str, argv)], stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd="/", check=False
    )
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed: {done.stdout}{done.stderr}")


def main(argv: Sequence[str]) -> int:
    """Run the command after “--” with everything it needs in its environment; returns its exit code."""
    if not argv or argv[0] != "--" or len(argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    with running() as url, redis.running() as address:
        servers = {
            "BERTH_DATABASE_URL": url,
            "BERTH_BROKER_URL": f"redis://{address}/0",
            "BERTH_REDIS_URL": f"redis://{address}/1",
        }
        return subprocess.run(list(argv[1:]), env={**os.environ, **servers}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
