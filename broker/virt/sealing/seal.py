"""Seal a raw disk image: find its system, take out what `rules.py` names, wipe what was deleted, say what was left.

What cannot be sealed from outside is left as it is and told of: file systems other than ext2/3/4, encrypted
partitions, logical volumes, damaged file systems. Windows and those are sealed by their own tools, inside.
"""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_

from . import confined, partitions, rules, spans
from .ext import Entry, FileSystem
from .partitions import Partition

_SWAP_HEADER = 4096
_QUIET = ("fat", "boot", "swap")
_NAMES = {
    "xfs": "XFS", "btrfs": "Btrfs", "ntfs": "NTFS", "luks": N_("encrypted"), "lvm": "LVM", "fat": "FAT",
    "unknown": N_("unknown"),
}  # fmt: skip


@dataclass
class Report:
    """What was done. `outcome`: sealed, partly or unsealed; `left`: sentences about what was not, as data."""

    removed: int = 0
    systems: int = 0
    left: list[dict[str, Any]] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        if not self.systems:
            return "unsealed"
        return "partly" if self.left else "sealed"

    def leave(self, message: str, **params: object) -> None:
        self.left.append({"message": message, "params": {key: str(value) for key, value in params.items()}})

    def as_dict(self) -> dict[str, Any]:
        return {"outcome": self.outcome, "removed": self.removed, "left": self.left}


def seal(path: Path, tick: Callable[[float], None] = lambda share: None) -> Report:
    """Seal the raw image at `path`, a private copy, in place. `tick` hears a share of 0..1 and may raise to end it."""
    report = Report()
    with path.open("r+b") as image, ExitStack() as files:
        file = image.fileno()
        found = partitions.find(file)
        systems: dict[int, FileSystem] = {}
        for index, one in enumerate(found):
            tick(index / (2 * len(found)))
            if one.kind == "ext":
                # On its own: e2fsck replays no journal of a file system that lies at an offset.
                own = files.enter_context(tempfile.TemporaryFile(dir=path.parent)).fileno()
                _open(file, one, own, systems, report, tick)
            elif one.kind == "swap":
                spans.punch(file, one.start + _SWAP_HEADER, one.size - _SWAP_HEADER)
        _seal_each(found, systems, report, tick)
        for one in found:
            if one.number in systems:
                spans.punch(file, one.start, one.size)
                spans.copy(systems[one.number].file, 0, file, one.start, one.size, lambda: tick(0.95))
            elif one.kind not in ("ext", *_QUIET):
                report.leave(
                    N_("partition %(number)s was not sealed: its contents are %(kind)s"),
                    number=one.number, kind=_NAMES.get(one.kind, one.kind),
                )  # fmt: skip
    if not report.systems:
        report.leave(N_("no Linux system was found on the disk that could be sealed from outside"))
    return report


def _open(
    image: int, one: Partition, own: int, systems: dict[int, FileSystem], report: Report, tick: Callable[[float], None]
) -> None:
    os.ftruncate(own, one.size)
    spans.copy(image, one.start, own, 0, one.size, lambda: tick(0.3))
    confined.give(own)
    system = FileSystem(own, lambda: tick(0.5))
    try:
        system.check()
    except BerthError as error:
        report.leave(
            N_("partition %(number)s was not sealed: its file system is damaged (%(cause)s)"),
            number=one.number, cause=error.message,
        )  # fmt: skip
    else:
        systems[one.number] = system


def _seal_each(
    found: list[Partition], systems: dict[int, FileSystem], report: Report, tick: Callable[[float], None]
) -> None:
    """Each file system as what it is mounted as in the running system."""
    places = _places(found, systems)
    for index, (number, system) in enumerate(systems.items()):
        tick(0.5 + index / (3 * len(systems)))
        if number not in places:
            report.leave(
                N_("partition %(number)s was not sealed: nothing says what the system uses it for"), number=number
            )
            continue
        try:
            _take_out(system, places[number])
            system.write()
            system.wipe_deleted()
        except BerthError as error:
            report.leave(
                N_("partition %(number)s was not sealed to the end: %(cause)s"), number=number, cause=error.message
            )
        else:
            report.removed += system.changed
            report.systems += places[number] == "/"


def _places(found: list[Partition], systems: dict[int, FileSystem]) -> dict[int, str]:
    """Where each file system is mounted, as the fstab of the system says that has one."""
    places: dict[int, str] = {}
    for number, system in systems.items():
        if any(entry.is_directory for entry in system.glob("/etc")) and system.glob("/usr"):
            places[number] = "/"
            for table in system.glob("/etc/fstab"):
                for name, place in _mounts(system.read(table)):
                    one = next((one for one in found if one.number in systems and _is_named(one, name)), None)
                    if one is not None:
                        places.setdefault(one.number, place)
    return places


def _mounts(fstab: str) -> list[tuple[str, str]]:
    lines = (line.split() for line in fstab.splitlines() if not line.lstrip().startswith("#"))
    return [(words[0], words[1]) for words in lines if len(words) >= 2 and words[1].startswith("/")]


def _is_named(one: Partition, name: str) -> bool:
    kind, _, value = name.partition("=")
    value = value.strip('"')
    if kind == "LABEL":
        return bool(one.label) and value == one.label
    if kind in ("UUID", "PARTUUID"):
        return value.lower() == (one.uuid if kind == "UUID" else one.partuuid)
    by_id = {
        "/dev/disk/by-uuid/" + one.uuid,
        "/dev/disk/by-label/" + one.label,
        "/dev/disk/by-partuuid/" + one.partuuid,
    }
    plain = {f"/dev/{disk}{one.number}" for disk in ("vda", "sda", "xvda", "nvme0n1p")}
    return name in by_id | plain


def _take_out(system: FileSystem, place: str) -> None:
    def glob(pattern: str) -> list[Entry]:
        if place == "/":
            return system.glob(pattern)
        return system.glob(pattern[len(place) :] or "/") if f"{pattern}/".startswith(f"{place}/") else []

    had_keys = bool(glob("/etc/ssh/ssh_host_*"))
    for pattern in rules.REMOVE:
        system.remove(entry for entry in glob(pattern) if not entry.is_directory)
    for pattern in rules.REMOVE_FILES:
        system.remove(entry for entry in glob(pattern) if entry.is_file)
    for pattern in rules.EMPTY:
        system.empty(glob(pattern))
    for path in rules.CLEAR:
        for directory in _directories(glob(path)):
            system.remove(system.below(directory.inode))
    for directory in _directories(glob(rules.LOGS)):
        _logs(system, directory)
    if place == "/" and had_keys:
        _have_keys_made(system)


def _logs(system: FileSystem, directory: Entry) -> None:
    journal = {entry.inode for entry in system.children([directory.inode])[directory.inode] if entry.name == "journal"}
    for entry in system.below(directory.inode):
        if entry.parent in journal or not entry.is_file or entry.name.endswith((".journal", ".journal~")):
            continue  # gone with the journal's directory
        if any(fnmatchcase(entry.name, pattern) for pattern in rules.PUT_AWAY):
            system.remove([entry])
        else:
            system.empty([entry])


def _have_keys_made(system: FileSystem) -> None:
    """A unit that makes host keys, where systemd and ssh-keygen are and no unit of the distribution does it."""
    folder, name = rules.KEYS_UNIT_PATH.rsplit("/", 1)
    wants, link = rules.KEYS_UNIT_LINK.rsplit("/", 1)
    theirs = [f"/{root}/systemd/system/sshd-keygen*" for root in ("usr/lib", "lib", "etc")]
    units, wanted = _directories(system.glob(folder)), _directories(system.glob(wants))
    if not (units and wanted and system.glob("/usr/bin/ssh-keygen")) or any(system.glob(one) for one in theirs):
        return
    if not system.glob(rules.KEYS_UNIT_PATH):
        system.add(units[0], name, rules.KEYS_UNIT)
    if not system.glob(rules.KEYS_UNIT_LINK):
        system.link(wanted[0], link, rules.KEYS_UNIT_PATH)


def _directories(entries: list[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.is_directory]
