"""What API tokens may do, in a sentence each."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.access.actor import Actor
from broker.access.scope import Scope
from portal.models import ApiToken

from .access_page import names_of, place

NAMED = 8
"""So many rights or objects are named in a sentence; of the rest the number."""


@dataclass(frozen=True)
class _On:
    """An object of a scope, as what a grant is on."""

    object_kind: str
    object_id: UUID | None


def sentences(actor: Actor, tokens: Sequence[ApiToken]) -> dict[Any, str]:
    """Token's id → what it may do, naming objects as far as `actor` sees them: one query a kind of object."""
    scopes = {token.pk: Scope.of(token.scope) for token in tokens}
    on = {pk: [_On(*one) for one in sorted(scope.objects)] if scope else [] for pk, scope in scopes.items()}
    names = names_of(actor, [one for several in on.values() for one in several])
    return {
        token.pk: _sentence(scopes[token.pk], [place(one, names) for one in on[token.pk]], token.networks)
        for token in tokens
    }


def _sentence(scope: Scope | None, places: Sequence[str], networks: Sequence[str]) -> str:
    verbs = scope.verbs if scope else None
    if scope and scope.read_only:
        parts = [_("Only reads") if verbs is None else _("Only reads, of %(verbs)s") % {"verbs": _some(verbs)}]
    elif verbs is not None:
        parts = [_("Only %(verbs)s") % {"verbs": _some(verbs)}]
    else:
        parts = [_("All rights of its person")]
    if places:
        parts.append(_("on %(places)s") % {"places": _some(places)})
    if networks:
        parts.append(_("from %(networks)s") % {"networks": _some(networks)})
    return ", ".join(parts)


def _some(names: Iterable[str]) -> str:
    names = list(names)
    shown, rest = names[:NAMED], len(names) - NAMED
    told = ", ".join(shown)
    return told if rest <= 0 else ngettext("%(told)s and %(rest)d more", "%(told)s and %(rest)d more", rest) % {
        "told": told, "rest": rest,
    }  # fmt: skip
