"""A table of who was looked at by which rule: what a dry run answers with. No Django here."""

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import BerthError
from .reasons import Count, Reason, counted


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was looked at and the rules that refused it; without any, it would do. `note`: a short word
    on what would become of it ("the best", "kept there"), untranslated."""

    kind: str
    id: str
    name: str
    refusals: tuple[Reason, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """`rules` are the columns, in the order in which they are asked. `lines` may be cut short; `total` is not."""

    kind: str
    rules: tuple[str, ...]
    lines: tuple[Line, ...]
    total: int
    counts: tuple[Count, ...] = ()

    @classmethod
    def of(cls, kind: str, rules: Sequence[str], lines: Sequence[Line], *, most: int) -> "Table":
        """All lines are counted; those named are at most `most`."""
        counts = counted(reason for line in lines for reason in line.refusals)
        return cls(kind, tuple(rules), tuple(lines[:most]), len(lines), counts)


@dataclass(frozen=True, slots=True)
class Answer:
    """What would happen: `message` (a %-template over `params`) when it would work, else `refusal`."""

    message: str = ""
    params: tuple[tuple[str, str], ...] = ()
    refusal: BerthError | None = None
    tables: tuple[Table, ...] = ()
