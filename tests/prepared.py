"""What takes long to make and is the same every time, made once for all test processes and copied: databases with all
migrations in them.

It lies in BERTH_CACHE_DIR where that can be written, else in the temporary directory, under a name that changes with
every migration. Who comes first makes it, and the others wait.
"""

import fcntl
import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT_DAYS = 7  # without use


def sqlite_file() -> Path:
    """A database of the present migrations and nothing else."""
    return kept(f"{migrations()}.sqlite3", _make_sqlite)


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The file or folder `name`; where there is none, `make` makes it at the path that it is given."""
    folder = _folder()
    path = folder / name
    if not path.exists():
        with (folder / "lock").open("w") as lock, tempfile.TemporaryDirectory(prefix="berth-made-") as scratch:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not path.exists():
                made, arriving = Path(scratch) / "made", folder / f"arriving-{os.getpid()}"
                Path(scratch).chmod(0o755)  # a server that makes its own files may be another user
                make(made)
                copy(made, arriving)
                arriving.rename(path)
                _forget_old(folder)
    os.utime(path)
    return path


def copy(source: Path, target: Path) -> None:
    """With owners and rights; of a folder, all that is in it."""
    subprocess.run(["cp", "-a", "--reflink=auto", "-T", source, target], check=True)


def migrate(**environment: str) -> None:
    """What `manage.py migrate` does in a process of its own, from wherever the database is."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("BERTH_", "DJANGO_"))}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=own | environment, check=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


@cache
def migrations() -> str:
    """A word for all migrations: the project's files, and the packages that bring the others."""
    packages = sorted(ROOT.glob("deploy/requirements*.lock"))
    assert packages
    ours = sorted(path for app in ("broker", "pools", "portal") for path in (ROOT / app).glob("**/migrations/*.py"))
    found = hashlib.sha256(sys.version.encode())
    for path in (*packages, ROOT / "broker" / "settings.py", *ours):
        found.update(f"{path.relative_to(ROOT)} ".encode() + path.read_bytes())
    return found.hexdigest()[:16]


def _make_sqlite(path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="berth-migrate-") as data:
        migrate(BERTH_DATA_DIR=data)
        line = sqlite3.connect(Path(data) / "berth.sqlite3")
        line.execute("VACUUM INTO ?", (str(path),))  # one file, without a journal beside it
        line.close()


def _folder() -> Path:
    cache_dir = Path(os.environ.get("BERTH_CACHE_DIR", "/var/cache/berth"))
    if not os.access(cache_dir, os.W_OK):
        cache_dir = Path(tempfile.gettempdir())
    folder = cache_dir / f"berth-tests-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    owner, rights = folder.stat().st_uid, folder.stat().st_mode
    assert owner == os.getuid() and not rights & 0o077, f"{folder} belongs to somebody else"
    return folder


def _forget_old(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != "lock" and time.time() - path.stat().st_mtime > KEPT_DAYS * 86400:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
