"""Why something was refused, as this reader may know it: the rule, what was looked at, and what would help.

The whole explanation is kept with the event or job. Here it is cut to what the reader may see: things they may not
see are counted and told in neutral words, and the names of hosts in a sentence become "a host".
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.utils.translation import gettext, ngettext

from broker.access.actor import Actor
from broker.access.kinds import KINDS
from broker.access.require import visible_to
from broker.core.errors import BerthError
from broker.core.reasons import Count
from broker.events.models import Event
from broker.virt.models import Host

from .context import holds
from .middleware import sentence

Stored = Mapping[str, Any]
_HOSTLY = ("host", "left", "uri")
_PERSONAL = ("user", "by", "holder", "holders")
_TECHNICAL = ("error", "reason", "found", "expected", "twin")


@dataclass(frozen=True, slots=True)
class Looked:
    """One thing that was looked at, the rule that refused it, and what it said."""

    kind: str
    id: str
    name: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How many things failed a rule, in words that name none of them."""

    kind: str
    rule: str
    count: int
    text: str


@dataclass(frozen=True, slots=True)
class Why:
    rule: str
    looked_at: tuple[Looked, ...] = ()
    counts: tuple[Counted, ...] = ()
    helps: tuple[str, ...] = ()

    @property
    def says_more(self) -> bool:
        """Whether there is more than the name of the rule."""
        return bool(self.looked_at or self.counts or self.helps)

    def lines(self, most: int) -> list[str]:
        """The same as a few short sentences."""
        looked = [f"{one.name}: {one.detail}" for one in self.looked_at]
        told = looked if len(looked) <= most and self.all_named else [one.text for one in self.counts]
        return [line[:160] for line in (*told[:most], *self.helps[:2])]

    @property
    def all_named(self) -> bool:
        return sum(one.count for one in self.counts) <= len(self.looked_at)

    def as_dict(self) -> dict[str, Any]:
        return {
            "rule": self.rule,
            "looked_at": [asdict(one) for one in self.looked_at],
            "counts": [asdict(one) for one in self.counts],
            "helps": list(self.helps),
        }


class Sight:
    """What one reader may be told of some explanations: a query for each kind of thing in them, however many."""

    def __init__(self, actor: Actor, stored: Iterable[Stored | None]):
        self._actor = actor
        self._visible: dict[str, set[str]] = {}
        self._hosts: bool | None = None
        wanted: dict[str, set[str]] = defaultdict(set)
        for one in stored:
            for reason in (one or {}).get("reasons") or ():
                if reason.get("kind") and reason.get("id"):
                    wanted[reason["kind"]].add(reason["id"])
        for kind, ids in wanted.items():
            if kind in KINDS:
                rows = visible_to(actor, KINDS.get(kind).model._default_manager.filter(pk__in=ids))
                self._visible[kind] = {str(pk) for pk in rows.values_list("pk", flat=True)}

    def why(self, stored: Stored | None) -> Why | None:
        """The explanation kept in `stored` (BerthError.as_dict()); None when there is none."""
        if not stored or not stored.get("rule"):
            return None
        reasons = stored.get("reasons") or ()
        return Why(
            rule=stored["rule"],
            looked_at=tuple(self._looked(one) for one in reasons if self._sees(one)),
            counts=tuple(counted_in_words(Count(**one)) for one in stored.get("counts") or ()),
            helps=tuple(gettext(text) for text in stored.get("helps") or () if text),
        )

    def sentences(self, stored: Stored | None) -> tuple[str, str]:
        """Its cause and its fix."""
        if not stored:
            return "", ""
        params = self._discreet(stored.get("params") or {})
        return sentence(stored.get("message") or "", params), sentence(stored.get("fix") or "", params)

    def text_of(self, event: Event) -> str:
        """The sentence of an event; of other people too only for who may read the events of others."""
        params = self._discreet(event.told)
        if "cause" in params and event.explanation:
            params["cause"] = self.sentences(event.explanation)[0]
        if not holds(self._actor, "event.view"):
            params |= {
                name: gettext("somebody") for name in _PERSONAL if name in params and params[name] != self._actor.name
            }
        return sentence(event.template, params)

    def _discreet(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters of a sentence without the names of hosts, unless the reader sees hosts."""
        told = dict(params)
        if any(name in told for name in _HOSTLY) and not self._sees_hosts():
            told |= {name: gettext("a host") for name in _HOSTLY if name in told}
            told |= {name: "…" for name in _TECHNICAL if name in told}
        return told

    def _sees(self, reason: Stored) -> bool:
        return not reason.get("kind") or reason.get("id") in self._visible.get(reason["kind"], ())

    def _sees_hosts(self) -> bool:
        if self._hosts is None:
            self._hosts = visible_to(self._actor, Host).exists()
        return self._hosts

    @staticmethod
    def _looked(reason: Stored) -> Looked:
        params = reason.get("params") or {}
        detail = sentence(reason.get("message") or "", params)
        return Looked(reason.get("kind") or "", reason.get("id") or "", reason["subject"], reason["rule"], detail)


def counted_in_words(one: Count) -> Counted:
    """The count with its words in the reader's language."""
    return Counted(one.kind, one.rule, one.count, f"{_how_many(one.kind, one.count)}: {gettext(one.words)}")


def _how_many(kind: str, count: int) -> str:
    counted = {
        "host": ngettext("%(count)d host", "%(count)d hosts", count),
        "vm": ngettext("%(count)d machine", "%(count)d machines", count),
        "pool": ngettext("%(count)d pool", "%(count)d pools", count),
        "job": ngettext("%(count)d job", "%(count)d jobs", count),
        "user": ngettext("%(count)d user", "%(count)d users", count),
    }
    return counted.get(kind, ngettext("%(count)d thing", "%(count)d things", count)) % {"count": count}


def why_of(actor: Actor, error: BerthError) -> Why:
    """The explanation of an error that was just raised, for the one it is told to."""
    stored = error.as_dict()
    found = Sight(actor, [stored]).why(stored)
    assert found is not None, "every error names its rule"
    return found


def told(actor: Actor, stored: Stored | None) -> tuple[str, str, Why | None]:
    """Cause, fix and explanation of one kept error, for one reader."""
    sight = Sight(actor, [stored])
    return (*sight.sentences(stored), sight.why(stored))
