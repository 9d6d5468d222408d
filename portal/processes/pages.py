"""Collect the static files where the web server serves them from, if they changed since last time."""

import hashlib
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command


def stale() -> bool:
    """Whether the collected files are not those of the code."""
    stamp = Path(settings.STATIC_ROOT) / ".stamp"
    return not stamp.exists() or stamp.read_text() != _stamp()


def collect() -> None:
    call_command("collectstatic", verbosity=0, interactive=False)
    (Path(settings.STATIC_ROOT) / ".stamp").write_text(_stamp())


def _stamp() -> str:
    """Names, sizes and times of all static files; reading them takes a hundred times as long."""
    digest = hashlib.sha256(settings.STORAGES["staticfiles"]["BACKEND"].encode())
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()
