"""What a field of the search can be, and how each kind makes a condition of an operator and a value."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db.models import Q

from broker.access.actor import Actor
from broker.access.require import may, visible_to
from broker.core import clock
from broker.core.text import gettext_noop as N_

from .language import Misread, Token

_LOOKUPS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_UNITS = {"k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SPANS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_LARGEST = 2**62


@dataclass(frozen=True, kw_only=True)
class Field:
    """A word that conditions are about. `help` says what it is; `path` leads there from a machine.

    `through` is the model of the object that has the name: only what the actor may see of it counts, and only who
    may see all of it (`verb`) may sort by it. `many`: several rows may stand at the path, so the search asks whether
    one fits. `only`: what must be so besides. `free`: looked into for a value without a field.
    """

    help: str
    path: str
    through: str = ""
    verb: str = ""
    many: bool = False
    sorts: bool = True
    free: bool = False
    only: Mapping[str, str] | None = None

    operators: tuple[str, ...] = ("=", "!=")

    def condition(self, actor: Actor, operator: Token, value: Token) -> Q:
        """The condition for one value; "!" in the operator is left to the caller."""
        raise NotImplementedError

    def words(self, actor: Actor, begun: str) -> Sequence[str]:
        """Values that begin so, for completion."""
        return ()

    def sortable(self, actor: Actor) -> bool:
        return self.sorts and not self.many and (not self.verb or may(actor, self.verb))


@dataclass(frozen=True, kw_only=True)
class Name(Field):
    """Text: `=` is the whole of it whatever the case, with * at its ends for anything; `~` is a part of it."""

    operators: tuple[str, ...] = ("=", "!=", "~", "!~")

    def condition(self, actor: Actor, operator: Token, value: Token) -> Q:
        text = value.text.replace("\0", "")
        lookup = "icontains"
        if "~" not in operator.text:
            text, lookup = _starred(value, text)
        return self._seen(actor, Q(**{f"{self._within()}__{lookup}": text}))

    def words(self, actor: Actor, begun: str) -> Sequence[str]:
        if not self.through:
            return ()
        rows = visible_to(actor, _model(self.through)).filter(**{f"{self._within()}__istartswith": begun})
        return list(rows.order_by(self._within()).values_list(self._within(), flat=True).distinct()[:12])

    def _within(self) -> str:
        """The path from the object that is asked for: from the machine itself without `through`."""
        return self.path.rpartition("__")[2] if self.through else self.path

    def _seen(self, actor: Actor, wanted: Q) -> Q:
        if self.through:
            rows = visible_to(actor, _model(self.through)).filter(wanted)
            return Q(**{f"{self.path.rpartition('__')[0]}__in": rows.order_by().values("pk")})
        return wanted


@dataclass(frozen=True, kw_only=True)
class Choice(Field):
    """One of some words, each standing for one or more values of the column."""

    options: Mapping[str, Sequence[object]]

    def condition(self, actor: Actor, operator: Token, value: Token) -> Q:
        chosen = self.options.get(value.text.casefold())
        if chosen is None:
            raise Misread(
                N_("There is no value “%(found)s” (position %(position)s)."), value, words=tuple(self.options)
            )
        return Q(**{f"{self.path}__in": list(chosen)})

    def words(self, actor: Actor, begun: str) -> Sequence[str]:
        return [word for word in self.options if word.startswith(begun.casefold())]


@dataclass(frozen=True, kw_only=True)
class Number(Field):
    """A whole number; with a `unit` a size as "4g", counted by the column in so many bytes."""

    operators: tuple[str, ...] = ("=", "!=", "<", "<=", ">", ">=")
    unit: int = 0

    def condition(self, actor: Actor, operator: Token, value: Token) -> Q:
        number = self._read(value)
        sign = operator.text
        if sign in _LOOKUPS:
            return Q(**{f"{self.path}__{_LOOKUPS[sign]}": number})
        return Q(**{self.path: number})

    def _read(self, value: Token) -> int:
        if not self.unit:
            match = re.fullmatch(r"(\d{1,15})%?", value.text, re.ASCII)
            if not match:
                raise Misread(N_("“%(found)s” at position %(position)s is no whole number."), value)
            return int(match[1])
        match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,6})?)([kmgt]?)(?:i?b)?", value.text.casefold(), re.ASCII)
        if not match:
            raise Misread(N_("“%(found)s” at position %(position)s is no size, as 512m or 4g."), value)
        return min(round(float(match[1]) * _UNITS[match[2] or "m"] / self.unit), _LARGEST)


@dataclass(frozen=True, kw_only=True)
class Moment(Field):
    """A time: a day as 2026-01-31, or how long ago as 7d, 12h, 30min. `ago`: more means earlier (an age)."""

    operators: tuple[str, ...] = ("<", "<=", ">", ">=")
    ago: bool = False

    def condition(self, actor: Actor, operator: Token, value: Token) -> Q:
        sign, moment = operator.text, self._read(value)
        if self.ago:
            sign = sign.translate(str.maketrans("<>", "><"))
        return Q(**{f"{self.path}__{_LOOKUPS[sign]}": moment})

    def _read(self, value: Token) -> datetime:
        if match := re.fullmatch(r"(\d{1,5})(s|min|h|d|w)", value.text.casefold(), re.ASCII):
            return clock.now() - timedelta(seconds=int(match[1]) * _SPANS[match[2]])
        if not self.ago and re.fullmatch(r"\d{4}-\d\d-\d\d", value.text, re.ASCII):
            try:
                return datetime.strptime(value.text, "%Y-%m-%d").replace(tzinfo=UTC)
            except ValueError:
                pass
        raise Misread(
            N_("“%(found)s” at position %(position)s is no span as 7d, 12h or 30min.")
            if self.ago
            else N_("“%(found)s” at position %(position)s is no day as 2026-01-31 and no span as 7d, 12h or 30min."),
            value,
        )


@dataclass(frozen=True, kw_only=True)
class Listed(Name):
    """Text in a list that is kept as JSON: `=` is one whole entry, `~` a part of the list."""

    sorts: bool = False

    def condition(self, actor: Actor, operator: Token, value: Token) -> Q:
        text = value.text.replace("\0", "")
        # Kept as JSON text: an entry stands between quotes, and a quote in what is asked would end it early.
        asked = text.replace("\\", "\\\\").replace('"', '\\"')
        return Q(**{f"{self.path}__icontains": asked if "~" in operator.text else f'"{asked}"'})


def _starred(value: Token, text: str) -> tuple[str, str]:
    """The text without its stars, and the lookup they ask for."""
    if value.kind == "quoted" or "*" not in text:
        return text, "iexact"
    core = text.strip("*")
    if "*" in core:
        raise Misread(N_("A * can stand at the beginning and the end of “%(found)s” (position %(position)s)."), value)
    if not core:
        return "", "gt"
    ends = (text.startswith("*"), text.endswith("*"))
    return core, {(True, True): "icontains", (True, False): "iendswith", (False, True): "istartswith"}[ends]


def _model(label: str) -> Any:
    from django.apps import apps

    return apps.get_model(label)
