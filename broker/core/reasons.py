"""What a refusal looked at: each host, desktop or right with the rule it failed, in the order it was looked at.

A reason names things, and not everybody may see them. `words` therefore says the same without a name or a number,
and `kind` and `id` say what the reader must be allowed to see to be told more. No Django here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .text import gettext_noop as N_

MOST_NAMED = 20
SOMETHING = N_("does not fit")


@dataclass(frozen=True, init=False)
class Reason:
    """One thing that was looked at and the rule it failed: "host-2: too little memory (2 GiB free, 4 needed)".

    `subject` names it, `template` is a %-template over `params`. `kind` and `id` are those of its row ("host"),
    empty for what is no row: such a reason is told to everybody.
    """

    subject: str
    rule: str
    template: str
    params: dict[str, Any]
    kind: str
    id: str
    words: str

    def __init__(
        self, subject: str, rule: str, message: str, *, kind: str = "", id: Any = "", words: str = "", **params: Any
    ):
        values = {
            "subject": subject, "rule": rule, "template": message, "params": params,
            "kind": kind, "id": str(id), "words": words or SOMETHING,
        }  # fmt: skip
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def message(self) -> str:
        return self.template % self.params if self.params else self.template

    def about(self, kind: str, id: Any, *, words: str = "") -> "Reason":
        """The same, said of a row."""
        words = words or self.words
        return Reason(self.subject, self.rule, self.template, kind=kind, id=id, words=words, **self.params)

    @classmethod
    def of_row(cls, row: Any, rule: str, message: str, *, words: str = "", **params: Any) -> "Reason":
        """One said of a database row that has its name as text."""
        kind = getattr(row, "access_kind", "")
        return cls(str(row), rule, message, kind=kind, id=row.pk if kind else "", words=words, **params)

    @classmethod
    def of(cls, stored: dict[str, Any]) -> "Reason":
        """The reason that `as_dict` wrote down."""
        about = {name: stored.get(name, "") for name in ("kind", "id", "words")}
        return cls(stored["subject"], stored["rule"], stored["message"], **about, **(stored.get("params") or {}))

    def as_dict(self) -> dict[str, Any]:
        return {
            "subject": self.subject,
            "kind": self.kind,
            "id": self.id,
            "rule": self.rule,
            "message": self.template,
            "params": {key: str(value) for key, value in self.params.items()},
            "words": self.words,
        }


@dataclass(frozen=True, slots=True)
class Count:
    """How many things of one kind failed one rule."""

    kind: str
    rule: str
    words: str
    count: int

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "rule": self.rule, "words": self.words, "count": self.count}


def counted(reasons: Iterable[Reason]) -> tuple[Count, ...]:
    """How often each rule refused, in the order in which the rules first did."""
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for reason in reasons:
        key = (reason.kind, reason.rule)
        words, before = found.get(key, (reason.words, 0))
        found[key] = (words, before + 1)
    return tuple(Count(kind, rule, words, count) for (kind, rule), (words, count) in found.items())


def named(reasons: Sequence[Reason]) -> tuple[Reason, ...]:
    """At most MOST_NAMED of them, such that every rule that refused has one as long as there is room."""
    if len(reasons) <= MOST_NAMED:
        return tuple(reasons)
    first: dict[tuple[str, str], int] = {}
    for index, reason in enumerate(reasons):
        first.setdefault((reason.kind, reason.rule), index)
    chosen = sorted(first.values())[:MOST_NAMED]
    rest = (index for index in range(len(reasons)) if index not in set(chosen))
    for index in rest:
        if len(chosen) == MOST_NAMED:
            break
        chosen.append(index)
    return tuple(reasons[index] for index in sorted(chosen))
