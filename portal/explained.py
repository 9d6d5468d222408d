"""The answer of a dry run as plain data for the pages and the API, cut to what the reader may see."""

from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext

from broker.access.actor import Actor
from broker.access.kinds import KINDS
from broker.access.require import visible_to
from broker.core.verdicts import Answer, Line, Table

from .middleware import sentence
from .why import Counted, Sight, Why, counted_in_words


@dataclass(frozen=True, slots=True)
class Cell:
    rule: str
    passes: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    name: str
    note: str
    fits: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """`hidden`: how many there are beside those named."""

    kind: str
    rules: tuple[str, ...]
    rows: tuple[Row, ...]
    total: int
    counts: tuple[Counted, ...]

    @property
    def hidden(self) -> int:
        return self.total - len(self.rows)


@dataclass(frozen=True, slots=True)
class Explained:
    """`works`: it would; then `text` says what would happen, else what refuses it, with `fix` and `why`."""

    works: bool
    text: str
    fix: str = ""
    why: Why | None = None
    grids: tuple[Grid, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        return {
            "works": self.works,
            "text": self.text,
            "fix": self.fix,
            "why": self.why.as_dict() if self.why else None,
            "tables": [
                {
                    "kind": grid.kind,
                    "rules": list(grid.rules),
                    "total": grid.total,
                    "counts": [
                        {"kind": one.kind, "rule": one.rule, "count": one.count, "text": one.text}
                        for one in grid.counts
                    ],
                    "rows": [
                        {
                            "id": row.id,
                            "name": row.name,
                            "note": row.note,
                            "fits": row.fits,
                            "refusals": [
                                {"rule": cell.rule, "detail": cell.detail} for cell in row.cells if not cell.passes
                            ],
                        }
                        for row in grid.rows
                    ],
                }
                for grid in self.grids
            ],
        }


def explained(actor: Actor, answer: Answer) -> Explained:
    """`answer` for one reader: a query for each table, and those of the refusal."""
    grids = tuple(_grid(actor, table) for table in answer.tables)
    if answer.refusal is None:
        return Explained(True, sentence(answer.message, dict(answer.params)), grids=grids)
    stored = answer.refusal.as_dict()
    sight = Sight(actor, [stored])
    cause, fix = sight.sentences(stored)
    return Explained(False, cause, fix, sight.why(stored), grids)


def _grid(actor: Actor, table: Table) -> Grid:
    rows = KINDS.get(table.kind).model._default_manager.filter(pk__in=[line.id for line in table.lines])
    seen = {str(pk) for pk in visible_to(actor, rows).values_list("pk", flat=True)}
    lines = tuple(_row(line, table.rules) for line in table.lines if line.id in seen)
    return Grid(table.kind, table.rules, lines, table.total, tuple(map(counted_in_words, table.counts)))


def _row(line: Line, rules: tuple[str, ...]) -> Row:
    said = {reason.rule: sentence(reason.template, reason.params) for reason in line.refusals}
    cells = tuple(Cell(rule, rule not in said, said.get(rule, "")) for rule in rules)
    return Row(line.id, line.name, gettext(line.note) if line.note else "", not line.refusals, cells)
