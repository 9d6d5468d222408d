"""Thumbnails of screens that somebody is looking at.

The pages call `want` and `latest`; the monitor calls the rest. What is wanted is an empty file `<id>.want`
touched anew with each request, a picture is `<id>.webp`: both in DATA_DIR/screens, which web and monitor must
share (a common file system when they run on several machines). Everything else knows only these functions, so
another meeting place would be a change of this file alone.

A picture shows what is on somebody's screen: the directory is closed to others, the pages ask for `vm.view`
before they hand one out, and a picture is removed when its machine stops.
"""

import io
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID

from PIL import Image, UnidentifiedImageError

from broker.settings import DATA_DIR

log = logging.getLogger(__name__)
WANTED_SECONDS = 30.0
SHOT_EVERY = 5.0
WIDTH = 640
MOST_BYTES = 48 << 20  # 4096 × 3072 in three bytes a pixel, with room
MOST_PIXELS = 4096 * 3072
OLD_SECONDS = 3600.0
_FORMATS = ("PPM", "PNG")


def directory() -> Path:
    """Where wishes and pictures meet."""
    path = Path(DATA_DIR, "screens")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def want(ids: Iterable[UUID]) -> None:
    """Ask for pictures of these machines for the next WANTED_SECONDS. Cheap; call with each request of a page."""
    folder = directory()
    for vm_id in ids:
        (folder / f"{UUID(str(vm_id))}.want").touch(mode=0o600)


def latest(vm_id: UUID) -> tuple[bytes, float] | None:
    """The newest picture (WebP, at most WIDTH wide) and its age in seconds; None when there is none."""
    path = directory() / f"{UUID(str(vm_id))}.webp"
    try:
        return path.read_bytes(), max(time.time() - path.stat().st_mtime, 0.0)
    except FileNotFoundError:
        return None


def wanted() -> set[UUID]:
    """The machines somebody looks at now."""
    limit = time.time() - WANTED_SECONDS
    found = set()
    with os.scandir(directory()) as entries:
        for entry in entries:
            if entry.name.endswith(".want") and _changed(entry) > limit:
                found.add(UUID(entry.name.removesuffix(".want")))
    return found


def store(vm_id: UUID, picture: bytes) -> bool:
    """Keep a screenshot as the newest picture; returns whether it differs from the one before.

    What is too large, no picture, or of one colour (a blanked screen, a machine between two video modes) is
    not kept: the picture before stays, and its age tells.
    """
    small = shrink(picture)
    if small is None:
        return False
    path = directory() / f"{vm_id}.webp"
    same = path.exists() and path.read_bytes() == small
    scratch = path.with_suffix(f".{os.getpid()}-{time.monotonic_ns()}")
    scratch.touch(mode=0o600)
    scratch.write_bytes(small)
    scratch.replace(path)
    return not same


def shrink(picture: bytes) -> bytes | None:
    """A screenshot as WebP, at most WIDTH wide; None when it should not be shown."""
    if len(picture) > MOST_BYTES:
        return None
    try:
        with Image.open(io.BytesIO(picture), formats=_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                return None
            rgb = image.convert("RGB")
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        log.debug("Not a picture: %s", error)
        return None
    if all(len(set(band.getextrema())) == 1 for band in rgb.split()):
        return None
    if rgb.width > WIDTH:
        rgb = rgb.resize((WIDTH, max(round(rgb.height * WIDTH / rgb.width), 1)), Image.Resampling.BOX)
    out = io.BytesIO()
    rgb.save(out, "WEBP", quality=75, method=2)
    return out.getvalue()


def forget(vm_id: UUID) -> None:
    """Remove the picture: the machine does not run any more."""
    (directory() / f"{vm_id}.webp").unlink(missing_ok=True)


def purge() -> int:
    """Remove wishes, pictures and scratch files that nobody touched for an hour; returns how many."""
    limit, removed = time.time() - OLD_SECONDS, 0
    with os.scandir(directory()) as entries:
        for entry in entries:
            if _changed(entry) < limit:
                Path(entry.path).unlink(missing_ok=True)
                removed += 1
    return removed


def _changed(entry: "os.DirEntry[str]") -> float:
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return 0.0
