"""From the tree of a search to a condition on machines and an order. What the actor may not see matches nothing."""

from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from django.db.models import F, Q

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.virt.models import VirtualMachine

from .fields import FIELDS
from .kinds import Field
from .language import All, Comparison, Either, Key, Misread, Node, Not, Token, Words, parse


@dataclass(frozen=True, slots=True)
class Found:
    """What to filter machines by, and to sort them by when the search says so."""

    condition: Q
    order: tuple[Any, ...] = ()


def search(actor: Actor, text: str) -> Found:
    """Read a search. Raises Misread, naming the position and what could stand there.

    The condition narrows rows that the caller has bound to what the actor may see (`visible_to`); it applies the
    same to the hosts, pools and other objects it compares names of.
    """
    query = parse(text)
    where = _node(actor, query.where) if query.where else Q()
    order = [_key(actor, key) for key in query.keys]
    return Found(where, (*order, "pk") if order else ())


def _node(actor: Actor, node: Node) -> Q:
    match node:
        case Words(value):
            return reduce(or_, (_free(actor, FIELDS.get(name), value) for name in FIELDS.names()), Q())
        case Comparison():
            return _comparison(actor, node)
        case Not(part):
            return ~_node(actor, part)
        case All(parts):
            whole = Q()
            for part in parts:
                whole &= _node(actor, part)
            return whole
        case Either(parts):
            return reduce(or_, (_node(actor, part) for part in parts))


def _free(actor: Actor, field: Field, value: Token) -> Q:
    if not field.free:
        return Q()
    return field.condition(actor, Token("sign", "~", value.start, value.start), value)


def _comparison(actor: Actor, node: Comparison) -> Q:
    field = known(node.name)
    operator = node.operator
    if operator.text not in field.operators:
        raise Misread(
            N_("“%(found)s” at position %(position)s cannot be asked of %(name)s."), operator, words=field.operators,
            name=node.name.text,
        )  # fmt: skip
    if len(node.values) > 1 and operator.text not in ("=", "!=", "~", "!~"):
        raise Misread(N_("Only one value can follow “%(found)s” (position %(position)s)."), operator)
    wanted = reduce(or_, (field.condition(actor, operator, value) for value in node.values))
    if field.only:
        wanted &= Q(**field.only)
    if field.many:
        wanted = Q(pk__in=VirtualMachine.objects.filter(wanted).order_by().values("pk"))
    return ~wanted if operator.text.startswith("!") else wanted


def known(name: Token) -> Field:
    """The field of that name; raises Misread with all names when there is none."""
    word = name.text.casefold()
    if word not in FIELDS:
        raise Misread(N_("There is no field “%(found)s” (position %(position)s)."), name, words=FIELDS.names())
    return FIELDS.get(word)


def _key(actor: Actor, key: Key) -> Any:
    field = FIELDS.get(key.name.text.casefold()) if key.name.text.casefold() in FIELDS else None
    if field is None or not field.sortable(actor):
        words = [name for name in FIELDS.names() if FIELDS.get(name).sortable(actor)]
        raise Misread(N_("Machines cannot be sorted by “%(found)s” (position %(position)s)."), key.name, words=words)
    # More of an age is less of a moment; what has no value comes last either way.
    downwards = key.descending != bool(getattr(field, "ago", False))
    return F(field.path).desc(nulls_last=True) if downwards else F(field.path).asc(nulls_last=True)
