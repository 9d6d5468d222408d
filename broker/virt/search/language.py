"""Reading the search language: text becomes a tree of conditions and a sort order. Knows no field and no database.

    search     = [either] ["sort by" word ["asc" | "desc"] {"," word ["asc" | "desc"]}]
    either     = both {"or" both}
    both       = one {["and"] one}
    one        = "not" one | "(" either ")" | word operator value {"," value} | value

A value alone is looked for in the usual columns. Words with other signs stand in double quotes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

LONGEST = 500
DEEPEST = 20
MOST_PARTS = 40
OPERATORS = ("=", "!=", "~", "!~", "<", "<=", ">", ">=")
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"(?:[^"\\]|\\.)*")|(?P<open>"[^"]*)|(?P<sign>!=|!~|<=|>=|[=~<>(),])|(?P<word>[^\s"=~<>(),!]+|!))""",
    re.S,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: `kind` is word, quoted, sign or end; `start` and `stop` are where it stands."""

    kind: str
    text: str
    start: int
    stop: int

    def says(self, *words: str) -> bool:
        return self.kind == "word" and self.text.casefold() in words

    def is_sign(self, *signs: str) -> bool:
        return self.kind == "sign" and self.text in signs


@dataclass(frozen=True, slots=True)
class Words:
    """A value alone."""

    value: Token


@dataclass(frozen=True, slots=True)
class Comparison:
    name: Token
    operator: Token
    values: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Not:
    part: "Node"


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Either:
    parts: tuple["Node", ...]


Node = Words | Comparison | Not | All | Either


@dataclass(frozen=True, slots=True)
class Key:
    """One word of the sort order."""

    name: Token
    descending: bool


@dataclass(frozen=True, slots=True)
class Query:
    where: Node | None = None
    keys: tuple[Key, ...] = field(default=())


class Misread(Invalid):
    """The search cannot be read; `position` counts characters from 1, `words` are what could stand there."""

    def __init__(self, message: str, token: Token, *, words: Sequence[str] = (), **params: object):
        fix = N_("One of these can stand there: %(words)s.") if words else N_("See the page about searching.")
        super().__init__(
            message, field="search", fix=fix, rule="search.language", position=token.start + 1,
            found=token.text[:40], words=", ".join(words), **params,
        )  # fmt: skip
        self.position, self.words = token.start + 1, tuple(words)


def tokens(text: str) -> list[Token]:
    """The pieces of the text, with an "end" at the end. Raises Misread for a quote that is not closed."""
    found, at = [], 0
    while match := _TOKEN.match(text, at):
        kind = match.lastgroup or ""
        piece, start = match[kind], match.start(kind)
        at = match.end()
        if kind == "quoted":
            piece = re.sub(r"\\(.)", r"\1", piece[1:-1], flags=re.S)
        token = Token("quoted" if kind == "open" else kind, piece, start, at)
        if kind == "open":
            raise Misread(N_("The quote at position %(position)s is not closed."), token, words=('"',))
        found.append(token)
    return [*found, Token("end", "", len(text), len(text))]


def parse(text: str) -> Query:
    """The tree of a search. Raises Misread, which names the position and what could stand there."""
    if len(text) > LONGEST:
        raise Misread(N_("The search is longer than %(most)s signs."), Token("end", "", LONGEST, LONGEST), most=LONGEST)
    return _Parser(tokens(text)).query()


class _Parser:
    """Recursive descent, with a bound on depth and on the number of conditions."""

    def __init__(self, found: list[Token]):
        self.tokens, self.at, self.depth, self.parts = found, 0, 0, 0

    @property
    def now(self) -> Token:
        return self.tokens[self.at]

    @property
    def following(self) -> Token:
        return self.tokens[min(self.at + 1, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.now
        self.at = min(self.at + 1, len(self.tokens) - 1)
        return token

    def query(self) -> Query:
        where = None if self.now.kind == "end" or self.sorts() else self.either()
        keys = self.keys() if self.sorts() else ()
        if self.now.kind != "end":
            raise Misread(
                N_("“%(found)s” at position %(position)s does not belong there."), self.now,
                words=("and", "or", "sort by"),
            )  # fmt: skip
        return Query(where, keys)

    def sorts(self) -> bool:
        return self.now.says("sort", "order") and self.following.says("by")

    def either(self) -> Node:
        parts = [self.both()]
        while self.now.says("or"):
            self.take()
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else Either(tuple(parts))

    def both(self) -> Node:
        parts = [self.one()]
        while True:
            if self.now.says("and"):
                self.take()
            elif self.now.kind == "end" or self.now.is_sign(")") or self.now.says("or") or self.sorts():
                break
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def one(self) -> Node:
        self.parts += 1
        self.depth += 1
        if self.depth > DEEPEST or self.parts > MOST_PARTS:
            raise Misread(N_("The search has too many parts (position %(position)s)."), self.now)
        try:
            return self._one()
        finally:
            self.depth -= 1

    def _one(self) -> Node:
        token = self.now
        if token.says("not") and not self.following.is_sign(*OPERATORS):
            self.take()
            return Not(self.one())
        if token.is_sign("("):
            self.take()
            inner = self.either()
            if not self.now.is_sign(")"):
                raise Misread(
                    N_("The bracket is not closed at position %(position)s."), self.now, words=(")", "and", "or")
                )
            self.take()
            return inner
        if token.kind == "word" and self.following.is_sign(*OPERATORS):
            name, operator = self.take(), self.take()
            return Comparison(name, operator, self.values())
        # "and" and "or" alone are words of the language, in quotes they are looked for.
        if token.kind == "quoted" or (token.kind == "word" and not token.says("and", "or")):
            return Words(self.take())
        if token.kind == "end":
            raise Misread(N_("The search ends at position %(position)s where a condition should follow."), token)
        raise Misread(N_("“%(found)s” at position %(position)s does not belong there."), token)

    def values(self) -> tuple[Token, ...]:
        found = [self.value()]
        while self.now.is_sign(","):
            self.take()
            found.append(self.value())
        return tuple(found)

    def value(self) -> Token:
        self.parts += 1
        if self.now.kind not in ("word", "quoted"):
            raise Misread(N_("A value is missing at position %(position)s."), self.now)
        return self.take()

    def keys(self) -> tuple[Key, ...]:
        self.take(), self.take()
        found = []
        while True:
            if self.now.kind != "word":
                raise Misread(N_("A field to sort by is missing at position %(position)s."), self.now)
            name, descending = self.take(), False
            if self.now.says("asc", "desc"):
                descending = self.take().says("desc")
            found.append(Key(name, descending))
            if not self.now.is_sign(","):
                return tuple(found)
            self.take()


def narrowed(text: str, conditions: Sequence[str]) -> str:
    """The search with further conditions that must hold, its order kept. Raises Misread when it cannot be read."""
    query = parse(text)
    if not conditions:
        return text
    found = tokens(text)
    starts = [one.start for one, two in pairwise(found) if one.says("sort", "order") and two.says("by")]
    where, order = (text[: starts[-1]].strip(), text[starts[-1] :]) if query.keys else (text, "")
    parts = [f"({where})" if query.where else "", *conditions]
    return " ".join(part for part in (" and ".join(filter(None, parts)), order) if part)
