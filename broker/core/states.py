"""State machines as data, moved by compare-and-swap.

A `Machine` knows the legal moves of one column. `move` is one UPDATE … WHERE state IN (sources): of two
movers exactly one succeeds, on any database, without a lock. Named sets answer questions ("deletable").
Every state in `unstable` says who gets it out of there when the mover dies.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from .errors import Conflict, Reason
from .text import gettext_noop as N_


@dataclass(frozen=True, slots=True)
class Transition:
    """An event's effect: from any of `sources` to `target`."""

    sources: frozenset[str]
    target: str


@dataclass(frozen=True)
class Machine:
    """The life of one kind of row.

    `meanings` has a sentence per state; `unstable` maps a state to the rule that ends it;
    `sets` are named groups of states; `ends` are the states that may end with the row's removal.
    """

    name: str
    states: type[StrEnum]
    initial: str
    transitions: Mapping[str, Transition]
    meanings: Mapping[str, str]
    unstable: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ends: frozenset[str] = frozenset()
    column: str = "state"

    def can(self, state: str, event: str) -> bool:
        return state in self.transitions[event].sources

    def sources(self, event: str) -> frozenset[str]:
        return self.transitions[event].sources

    def is_(self, state: str, named_set: str) -> bool:
        return state in self.sets[named_set]

    def attempt(self, rows: Any, event: str, **updates: Any) -> int:
        """Move those of the queryset `rows` that may; returns how many moved."""
        transition = self.transitions[event]
        may_move = rows.filter(**{f"{self.column}__in": transition.sources})
        moved: int = may_move.update(**{self.column: transition.target, **updates})
        return moved

    def move(self, row: Any, event: str, **updates: Any) -> None:
        """Move one model instance and refresh its column; raises Conflict when it is not in a source state."""
        if not self.attempt(type(row)._base_manager.filter(pk=row.pk), event, **updates):
            row.refresh_from_db(fields=[self.column])
            raise Conflict(
                N_("%(name)s is %(state)s; that cannot be done now."),
                rule=f"state.{self.name}",
                fix=N_("Wait until it is %(wanted)s, or look at what is under way."),
                name=str(row),
                state=getattr(row, self.column),
                wanted=", ".join(sorted(self.transitions[event].sources)),
                reasons=(self._looked(row),),
            )
        setattr(row, self.column, self.transitions[event].target)
        for name, value in updates.items():
            setattr(row, name, value)

    def _looked(self, row: Any) -> Reason:
        state, kind = getattr(row, self.column), getattr(row, "access_kind", "")
        words = N_("not in the state that is needed")
        # A desktop is the seat of a machine and has its key; who may see it is decided for the machine.
        kind = "vm" if kind == "desktop" else kind
        return Reason(
            str(row), f"state.{self.name}", N_("it is %(state)s"), kind=kind, id=row.pk, words=words, state=state
        )

    def mermaid(self) -> str:
        """The machine as a Mermaid state diagram, for docs/states.md."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        for event, transition in self.transitions.items():
            lines += [f"    {source} --> {transition.target}: {event}" for source in sorted(transition.sources)]
        lines += [f"    {state} --> [*]: removed" for state in sorted(self.ends)]
        return "\n".join(lines)


def transition(sources: Iterable[str] | str, target: str) -> Transition:
    """Shorthand: `transition("a b", "c")`."""
    return Transition(frozenset(sources.split() if isinstance(sources, str) else sources), target)
