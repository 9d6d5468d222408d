"""Seal a qcow2 image: taken apart to a raw copy, sealed there, put together anew.

Put together anew, and not changed in place, because a qcow2 image keeps in its file what was overwritten in it.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_
from broker.virt.images import check_header

from . import confined
from .seal import Report, seal

HEADER = 65536
_ROOM = 1 << 30  # bytes left free at least


def seal_image(source: Path, target: Path, *, tick: Callable[[float], None] = lambda share: None) -> Report:
    """Write the sealed image of `source` to `target`, both qcow2 files in a directory of ours.

    `tick` hears a share of 0..1 and may raise to end it. Raises Invalid for a `source` that needs other files, and
    Unavailable when there is no room or qemu-img fails.
    """
    with source.open("rb") as file:
        check_header(file.read(HEADER))
    free, needed = shutil.disk_usage(target.parent).free, 4 * source.stat().st_size + _ROOM
    if free < needed:
        raise Unavailable(
            N_("There is no room to seal the image: %(needed)s MiB are needed in %(folder)s, %(free)s are free."),
            rule="server.room", fix=N_("Free some space there, or make the version without sealing it."),
            needed=needed >> 20, free=free >> 20, folder=target.parent,
        )  # fmt: skip
    raw = target.with_suffix(".raw")
    _convert("qcow2", source, "raw", raw, lambda: tick(0.1))
    report = seal(raw, lambda share: tick(0.3 + share * 0.4))
    _convert("raw", raw, "qcow2", target, lambda: tick(0.8))
    raw.unlink()
    return report


def _convert(old: str, source: Path, new: str, target: Path, tick: Callable[[], None]) -> None:
    target.unlink(missing_ok=True)
    command = ["qemu-img", "convert", "-f", old, "-O", new, str(source), str(target)]
    done = confined.run(command, seconds=4 * confined.SECONDS, as_nobody=False, tick=tick)
    if done.code:
        raise Unavailable(
            N_("qemu-img could not convert the image (%(reason)s)."),
            rule="image.readable", fix=N_("Look at the space in the data directory."),
            reason=done.output.strip()[-300:],
        )  # fmt: skip
