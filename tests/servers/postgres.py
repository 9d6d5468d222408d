"""A private PostgreSQL on a unix socket, and a command to run anything on it:

    python -m tests.servers.postgres -- pytest -m postgres

starts PostgreSQL and Redis, sets BERTH_DATABASE_URL, BERTH_BROKER_URL and BERTH_REDIS_URL, and BERTH_TEST_TEMPLATE for
tests/conftest.py, runs the command and stops both. PostgreSQL refuses to run as root, so then it runs as the first of
`postgres` and `nobody`.
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

from tests import prepared
from tests.servers import redis

DATABASE = "berth"
MIGRATED = "migrated"
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
def running(*, migrated: bool = False, **settings: str) -> Iterator[str]:
    """Yield the URL of a database on a server of its own, an empty one or one with all migrations; `settings` go over
    SETTINGS."""
    before, folder = _as_server(), Path(tempfile.mkdtemp(prefix="berth-pg-"))
    if before:
        shutil.chown(folder, int(before[1].partition("=")[2]), int(before[2].partition("=")[2]))
    try:
        prepared.copy(_cluster(), folder / "data")
        with _serving(folder, **settings):
            yield _url(folder, MIGRATED if migrated else DATABASE)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cluster() -> Path:
    """The files of a server with both databases, made once."""
    return prepared.kept(f"{prepared.migrations()}-postgresql-{binaries().parent.name}", _make_cluster)


def _make_cluster(path: Path) -> None:
    before, folder = _as_server(), Path(tempfile.mkdtemp(prefix="berth-pg-"))
    if before:
        shutil.chown(folder, int(before[1].partition("=")[2]), int(before[2].partition("=")[2]))
    how = ("-U", "berth", "--auth=trust", "-E", "UTF8", "--no-locale", "--no-sync")
    try:
        _call(before, binaries() / "initdb", "-D", folder / "data", *how)
        with _serving(folder, stop="fast"):
            for name in (DATABASE, MIGRATED):
                _call(before, binaries() / "createdb", "-h", folder, "-U", "berth", name)
            prepared.migrate(BERTH_DATA_DIR=str(path.parent), BERTH_DATABASE_URL=_url(folder, MIGRATED))
        prepared.copy(folder / "data", path)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _serving(folder: Path, *, stop: str = "immediate", **settings: str) -> Iterator[None]:
    """The server over `folder`/data, with its socket and its log in `folder`."""
    control = (_as_server(), binaries() / "pg_ctl", "-D", folder / "data", "-w")
    options = " ".join(f"-c {name}={value or chr(39) * 2}" for name, value in {**SETTINGS, **settings}.items())
    _call(*control, "-l", folder / "log", "-o", f"-k {folder} {options}", "start")
    try:
        yield
    finally:
        _call(*control, "-m", stop, "stop")


def _url(folder: Path, database: str) -> str:
    return f"postgresql://berth@/{database}?host={quote(str(folder), safe='')}"


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
            "BERTH_TEST_TEMPLATE": MIGRATED,
        }
        return subprocess.run(list(argv[1:]), env={**os.environ, **servers}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
