"""One ext2/3/4 file system inside an image, through debugfs and e2fsck: listed, changed, cleaned of what was deleted.

Directories are walked by inode number from the root, so that a link leads nowhere. A name debugfs cannot be given
(quotes, control characters) is emptied by its number instead of removed.
"""

import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_

from . import confined

ROOT = 2  # the inode number of the root directory
MOST_ENTRIES = 200_000
DEEPEST = 16
_BATCH = 400
_LINE = re.compile(r"^/(\d+)/(\d{6})/(\d+)/(\d+)/(.*)/(\d*)/$")
_ASKED = re.compile(r"^debugfs: +ls -p <(\d+)>$")
_SAYABLE = re.compile(r'[^"\x00-\x1f\x7f]+\Z')


class Damaged(BerthError):
    """The file system cannot be repaired by itself."""

    code, status = "damaged", 422


@dataclass(frozen=True, slots=True)
class Entry:
    """A name in the directory with inode number `parent`. `mode` as in stat."""

    parent: int
    name: str
    inode: int
    mode: int

    @property
    def is_directory(self) -> bool:
        return self.mode & 0o170000 == 0o040000

    @property
    def is_file(self) -> bool:
        return self.mode & 0o170000 == 0o100000


class FileSystem:
    """The file system that is the open `file`. Changes are kept until `write` is called."""

    def __init__(self, file: int, tick: Callable[[], None] = lambda: None) -> None:
        self.file, self._device, self._tick = file, confined.name_of(file), tick
        self._changes: list[str] = []
        self.changed = 0

    def check(self) -> None:
        """Replay its journal and repair what can be without a question. Raises Damaged."""
        self._fsck("-p", "-f")

    def children(self, directories: Sequence[int]) -> dict[int, list[Entry]]:
        """The entries of the directories with these inode numbers, without “.” and “..”."""
        found: dict[int, list[Entry]] = {}
        for begin in range(0, len(directories), _BATCH):
            asked = [f"ls -p <{number}>" for number in directories[begin : begin + _BATCH]]
            present: list[Entry] = []
            for line in self._debugfs(asked).splitlines():
                if heading := _ASKED.match(line):
                    present = found.setdefault(int(heading[1]), [])
                elif (entry := _LINE.match(line)) and entry[5] not in (".", "..") and int(entry[1]):
                    # the last heading tells whose it is
                    owner = next(reversed(found), ROOT)
                    present.append(Entry(owner, entry[5], int(entry[1]), int(entry[2], 8)))
        return found

    def glob(self, pattern: str) -> list[Entry]:
        """What is called so; `*` and `?` count within one name, and no link is followed."""
        parts = [part for part in pattern.split("/") if part]
        here = [ROOT]
        for depth, part in enumerate(parts, 1):
            entries = [entry for listed in self.children(here).values() for entry in listed]
            matching = [entry for entry in entries if fnmatchcase(entry.name, part)]
            if depth == len(parts):
                return matching
            here = [entry.inode for entry in matching if entry.is_directory]
            if not here:
                return []
        return [Entry(ROOT, "", ROOT, 0o040755)]

    def below(self, directory: int) -> list[Entry]:
        """Everything below, parents before what is in them."""
        found: list[Entry] = []
        here, seen = [directory], {directory}
        for _ in range(DEEPEST):
            entries = [entry for listed in self.children(here).values() for entry in listed]
            found += entries
            here = [entry.inode for entry in entries if entry.is_directory and entry.inode not in seen]
            seen.update(here)
            if not here or len(found) > MOST_ENTRIES:
                break
        return found[:MOST_ENTRIES]

    def read(self, entry: Entry, most: int = 1 << 16) -> str:
        """The beginning of a small text file."""
        text = self._debugfs([f"cat <{entry.inode}>"])
        return text.partition("\n")[2][:most]

    def remove(self, entries: Iterable[Entry]) -> None:
        """Have these go; directories after what is in them, so give parents first."""
        for entry in reversed(list(entries)):
            if _SAYABLE.match(entry.name):
                verb = "rmdir" if entry.is_directory else "rm"
                self._changes += [f"cd <{entry.parent}>", f'{verb} "{entry.name}"']
                self.changed += 1
            elif entry.is_file:
                self.empty([entry])

    def empty(self, entries: Iterable[Entry]) -> None:
        """Have these files be empty, owner and mode as they are."""
        for entry in entries:
            if entry.is_file:
                self._changes += [f"punch <{entry.inode}> 0", f"sif <{entry.inode}> size 0"]
                self.changed += 1

    def add(self, directory: Entry, name: str, text: str) -> None:
        """Write a small file of root's into `directory`."""
        with tempfile.NamedTemporaryFile("w", prefix="berth-", suffix=".new") as source:
            source.write(text)
            source.flush()
            confined.give(source.fileno())
            wanted = [f"cd <{directory.inode}>", f'write {source.name} "{name}"']
            self._debugfs([*wanted, *(f'sif "{name}" {field}' for field in ("mode 0100644", "uid 0", "gid 0"))], True)
        self.changed += 1

    def link(self, directory: Entry, name: str, target: str) -> None:
        """Make a symbolic link in `directory`."""
        self._debugfs([f"cd <{directory.inode}>", f'symlink "{name}" {target}'], True)
        self.changed += 1

    def write(self) -> None:
        """Make the changes asked for."""
        for begin in range(0, len(self._changes), _BATCH * 4):
            self._debugfs(self._changes[begin : begin + _BATCH * 4], True)
        self._changes.clear()

    def wipe_deleted(self) -> None:
        """Leave nothing of what was deleted: a new journal, and zeros wherever no file is. Raises Damaged."""
        self._fsck("-y", "-f")
        for feature in ("^has_journal", "has_journal"):
            done = self._run(["tune2fs", "-O", feature, self._device])
            if done.code:
                raise _damaged("tune2fs", done)
        self._fsck("-y", "-f")
        # It discards only in a run that has found nothing to repair.
        self._fsck("-y", "-f", "-E", "discard")

    def _fsck(self, *options: str) -> None:
        done = self._run(["e2fsck", *options, self._device])
        if done.code & ~0b11:  # 1: repaired, 2: repaired, restart the machine
            raise _damaged("e2fsck", done)

    def _debugfs(self, commands: Iterable[str], writing: bool = False) -> str:
        script = "\n".join(commands) + "\n"
        options = ["-w"] if writing else []
        done = self._run(["debugfs", *options, "-f", "-", self._device], stdin=script)
        return done.output

    def _run(self, command: list[str], stdin: str = "") -> confined.Ended:
        return confined.run(command, file=self.file, stdin=stdin, tick=self._tick)


def _damaged(tool: str, done: confined.Ended) -> Damaged:
    lines = [line.strip() for line in done.output.splitlines() if line.strip()]
    return Damaged(N_("%(tool)s: %(said)s"), tool=tool, said=lines[-1][:200] if lines else str(done.code))
