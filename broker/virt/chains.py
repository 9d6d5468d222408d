"""The chain doctor: what the rows, the files and the hypervisor say of a machine's disks, compared.

Pure: it gets the three accounts and explains where they differ. What is told as `mendable` is put right by writing the
definition anew, which touches no image; everything else is for people, with what would help.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from broker.core.text import gettext_noop as N_

DEFINITION = "definition"  # the only thing that is mended
_DEEPEST = 64


@dataclass(frozen=True, slots=True)
class Account:
    """One disk. `rows`: its volumes from the top down as the database has them, ending where the template begins;
    `opened`: paths as the hypervisor has them, of a machine that is `running` or by its definition. `known`: volumes
    that other states of the machine hold, beside the line that it is on."""

    target: str
    folder: str
    rows: tuple[str, ...]
    opened: tuple[str, ...]
    running: bool
    own: str  # every volume of this disk begins with it
    known: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference: `text` and `fix` are templates over `params`."""

    kind: str
    target: str
    text: str
    fix: str
    mendable: bool = False
    params: Mapping[str, str] = field(default_factory=dict)

    def stored(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "target": self.target, "text": self.text, "fix": self.fix, "mendable": self.mendable,
            "params": {**self.params, "target": self.target},
        }  # fmt: skip


def compare(account: Account, files: Mapping[str, str]) -> list[Finding]:
    """`files`: the path of each image on the storage → the path of the one that it lies on, "" for none."""
    found = [*_of_files(account, files)]
    top = f"{account.folder}/{account.rows[0]}"
    whole = not found
    if account.opened[:1] != (top,):
        found.append(_of_top(account, top, mendable=whole and not account.running))
    elif account.running and whole and account.opened != (real := _line(top, files))[: len(account.opened)]:
        found.append(
            _finding(
                account, "open", N_("QEMU has %(target)s open on %(opened)s, its files name %(real)s."),
                N_("Leave the files alone; shut the machine down in the guest, and look again."),
                opened=_names(account.opened), real=_names(real),
            )
        )  # fmt: skip
    used = {f"{account.folder}/{name}" for name in (*account.rows, *account.known)} | set(account.opened)
    for path in sorted(files):
        name = path.rpartition("/")[2]
        if name.startswith(account.own) and path not in used and path not in files.values():
            found.append(
                _finding(
                    account, "left-over", N_("%(volume)s is an image of %(target)s that nothing refers to."),
                    N_("Delete it on the storage when no job is at work and a backup is at hand."), volume=name,
                )
            )  # fmt: skip
    return found


def _of_files(account: Account, files: Mapping[str, str]) -> list[Finding]:
    found = []
    for place, name in enumerate(account.rows):
        path = f"{account.folder}/{name}"
        if path not in files:
            found.append(
                _finding(
                    account, "missing", N_("The image %(volume)s of %(target)s is not on its storage."),
                    N_("Put the file back if somebody moved it, or restore a backup."), volume=name,
                )
            )  # fmt: skip
            continue
        below = files[path]
        wanted = f"{account.folder}/{account.rows[place + 1]}" if place + 1 < len(account.rows) else None
        if wanted is not None and below != wanted:
            found.append(
                _finding(
                    account, "backing", N_("%(volume)s lies on “%(below)s”, and should lie on %(wanted)s."),
                    N_("Do not start the machine: its disk would be wrong. Restore a backup, or correct the file on "
                       "the host with qemu-img rebase -u when you know that only its name is wrong."),
                    volume=name, below=below.rpartition("/")[2] or "–", wanted=account.rows[place + 1],
                )
            )  # fmt: skip
        elif wanted is None and below and (below not in files or below.rpartition("/")[2].startswith(account.own)):
            found.append(
                _finding(
                    account, "base", N_("%(volume)s lies on “%(below)s”, which the database does not know below it."),
                    N_("Look whether the template's image was moved; restore a backup if it is gone."),
                    volume=name, below=below.rpartition("/")[2],
                )
            )  # fmt: skip
    return found


def _of_top(account: Account, top: str, *, mendable: bool) -> Finding:
    opened, wanted = _names(account.opened[:1]) or "–", account.rows[0]
    if account.running:
        return _finding(
            account, "writes-elsewhere", N_("QEMU writes %(target)s to %(opened)s, the database says %(wanted)s."),
            N_("Somebody took a snapshot behind Berth's back: merge it with virsh blockcommit, and look again."),
            opened=opened, wanted=wanted,
        )  # fmt: skip
    return _finding(
        account, DEFINITION, N_("The definition on the host names %(opened)s for %(target)s, the database %(wanted)s."),
        N_("Have it repaired: the definition is written anew, the images stay as they are."), mendable=mendable,
        opened=opened, wanted=wanted,
    )  # fmt: skip


def _line(top: str, files: Mapping[str, str]) -> tuple[str, ...]:
    found: list[str] = []
    path = top
    while path and len(found) < _DEEPEST:
        found.append(path)
        path = files.get(path, "")
    return tuple(found)


def _names(paths: Sequence[str]) -> str:
    return " ← ".join(path.rpartition("/")[2] for path in paths)


def _finding(account: Account, kind: str, text: str, fix: str, *, mendable: bool = False, **params: str) -> Finding:
    return Finding(kind, account.target, text, fix, mendable, params)
