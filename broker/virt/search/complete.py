"""What can be typed next in a search: fields, operators, values, the words between conditions."""

import re
from dataclasses import dataclass
from itertools import pairwise

from django.utils.translation import gettext as _

from broker.access.actor import Actor

from .fields import FIELDS
from .language import LONGEST, OPERATORS, Misread, Token, tokens

MOST = 12
_PLAIN = re.compile(r'[^\s"=~<>(),!*]+')


@dataclass(frozen=True, slots=True)
class Completion:
    """`text` would replace what stands from `start` to the cursor; `hint` says what it is."""

    text: str
    start: int
    hint: str = ""


def complete(actor: Actor, text: str) -> list[Completion]:
    """What could stand at the end of `text`, which is the search up to the cursor. Never raises."""
    text = text[:LONGEST]
    try:
        found = tokens(text)[:-1]
    except Misread:
        found = _with_open_quote(text)
    at_word = bool(found) and found[-1].stop == len(text) and found[-1].kind in ("word", "quoted")
    begun = found.pop() if at_word else Token("word", "", len(text), len(text))
    last = found[-1] if found else None
    return _after(actor, found, last, begun)[:MOST]


def _after(actor: Actor, found: list[Token], last: Token | None, begun: Token) -> list[Completion]:
    if last and (last.is_sign(*OPERATORS) or last.is_sign(",")):
        return _values(actor, found, begun)
    if last and last.says("sort", "order"):
        return _fitting(begun, {"by": ""})
    if _sorting(found):
        if last and (last.says("by") or last.is_sign(",")):
            return _fitting(begun, {name: _(one.help) for name, one in _fields() if one.sortable(actor)})
        return _fitting(begun, {"asc": _("upwards"), "desc": _("downwards")})
    if last and last.kind == "word" and last.text.casefold() in FIELDS and not begun.text and begun.start == last.stop:
        return _fitting(begun, dict.fromkeys(FIELDS.get(last.text.casefold()).operators, ""))
    if begun.kind == "word" and begun.text.casefold() in FIELDS:
        operators = FIELDS.get(begun.text.casefold()).operators
        longer = _fitting(begun, {name: _(one.help) for name, one in _fields() if name != begun.text.casefold()})
        return [*(Completion(begun.text + sign, begun.start) for sign in operators), *longer]
    links = {"and": "", "or": "", "sort by": _("a field to sort by")} if _ended(last) else {"not": ""}
    return _fitting(begun, {**{name: _(one.help) for name, one in _fields()}, **links}, links_first=_ended(last))


def _values(actor: Actor, found: list[Token], begun: Token) -> list[Completion]:
    signs = [index for index, token in enumerate(found) if token.is_sign(*OPERATORS)]
    if _sorting(found) or not signs or signs[-1] == 0:
        return _fitting(begun, {name: _(one.help) for name, one in _fields() if one.sortable(actor)})
    name = found[signs[-1] - 1].text.casefold()
    if name not in FIELDS:
        return []
    words = FIELDS.get(name).words(actor, begun.text)
    return [Completion(_quoted(word), begun.start) for word in words]


def _quoted(word: str) -> str:
    if _PLAIN.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _fitting(begun: Token, words: dict[str, str], *, links_first: bool = False) -> list[Completion]:
    """The words that begin so; between conditions "and" and "or" come first."""
    text = begun.text.casefold()
    names = sorted(words, key=lambda word: words[word] != "" and links_first) if not text else list(words)
    return [Completion(word, begun.start, words[word]) for word in names if word.startswith(text) and word != text]


def _ended(last: Token | None) -> bool:
    """Whether a condition may be over after this piece."""
    if last is None or last.is_sign("(", *OPERATORS):
        return False
    return not last.says("and", "or", "not")


def _sorting(found: list[Token]) -> bool:
    return any(one.says("sort", "order") and two.says("by") for one, two in pairwise(found))


def _fields():  # type: ignore[no-untyped-def]
    return [(name, FIELDS.get(name)) for name in FIELDS.names()]


def _with_open_quote(text: str) -> list[Token]:
    """The pieces of a text whose last quote is still being typed."""
    start = text.rindex('"') if text.count('"') % 2 else len(text)
    try:
        return [*tokens(text[:start])[:-1], Token("quoted", text[start + 1 :], start, len(text))]
    except Misread:
        return []
