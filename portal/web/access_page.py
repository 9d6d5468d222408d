"""Rights and quotas as the pages show them: who holds what where, and bars of what is used."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from django.db import models
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor
from broker.access.explain import Answer, Way, limits
from broker.access.kinds import GRANTABLE, KINDS
from broker.access.models import Quota
from broker.access.quota import any_in_force
from broker.access.require import may, visible_to
from broker.access.resources import number
from broker.access.usage import Use
from broker.core import clock
from broker.directories.models import User
from portal.templatetags.berth import duration

from .parts import Action
from .words import Mark, Text

KIND_WORDS: dict[str, Text] = {
    "system": gettext_lazy("the whole system"),
    "cluster": gettext_lazy("cluster"),
    "host": gettext_lazy("host"),
    "storage": gettext_lazy("storage"),
    "network": gettext_lazy("network"),
    "template": gettext_lazy("template"),
    "pool": gettext_lazy("pool"),
    "meta-pool": gettext_lazy("meta-pool"),
    "vm": gettext_lazy("machine"),
}
RESOURCE_WORDS: dict[str, Text] = {
    "vcpus": gettext_lazy("Processors"),
    "memory_mib": gettext_lazy("Memory, MiB"),
    "disk_gib": gettext_lazy("Disk, GiB"),
    "machines": gettext_lazy("Machines"),
    "running": gettext_lazy("Running"),
}
MODES = {
    "off": Mark(gettext_lazy("Off"), "idle"),
    "audit": Mark(gettext_lazy("Only watched"), "warn"),
    "enforced": Mark(gettext_lazy("Enforced"), "good"),
}
_PAGES = {"storage": "storage-one"}


class OnObject(Protocol):
    """A grant, or something else that is on an object."""

    @property
    def object_kind(self) -> str: ...
    @property
    def object_id(self) -> UUID | None: ...


@dataclass(frozen=True, slots=True)
class Bar:
    """One limit of a quota as a bar. `tone` and `word` say how full it is, for those who do not see colours too."""

    label: Text
    text: str
    percent: int
    tone: str
    word: Text
    under: str = ""


def bars(quota: Quota, uses: Sequence[Use], people: dict[UUID, str]) -> list[Bar]:
    """`people`: the names of those who use most, where a quota is of each member."""
    return [_bar(quota, use, people.get(use.by, "") if use.by else "") for use in uses]


def _bar(quota: Quota, use: Use, by: str) -> Bar:
    if use.used > use.limit:
        tone, word = "bad", left_of(use) or _("over the limit")
    elif use.percent > quota.threshold_percent:
        tone, word = "warn", _("nearly used up")
    else:
        tone, word = "good", ""
    text = _("%(used)s of %(limit)s") % {"used": number(use.used), "limit": use.limit}
    under = _("most: %(user)s") % {"user": by} if by else ""
    return Bar(RESOURCE_WORDS[use.resource], text, min(use.percent, 100), tone, word, under)


def left_of(use: Use) -> str:
    """How long what is over its limit may stay so; "" for what is not, or has no time."""
    if use.grace_ends_at is None:
        return ""
    left = use.grace_ends_at - clock.now()
    if left.total_seconds() <= 0:
        return _("over the limit, and the time for that is up")
    return _("over the limit, %(time)s left") % {"time": duration(left)}


def over_now(actor: Actor) -> list[str]:
    """What the actor uses beyond a limit, and how long that may stay so: one query without quotas."""
    if actor.user is None or not any_in_force():
        return []
    return [
        f"{RESOURCE_WORDS[use.resource]}: {number(use.used)} / {use.limit}, {left}"
        for limit in limits(actor, actor.user)
        for use in limit.uses
        for left in (left_of(use),)
        if left
    ]


def heaviest(actor: Actor, uses: Iterable[Sequence[Use]]) -> dict[UUID, str]:
    """The names of those who use most of something, as far as `actor` may see them: one query."""
    ids = {use.by for one in uses for use in one if use.by}
    return {user.pk: user.username for user in visible_to(actor, User).filter(pk__in=ids)} if ids else {}


def whose(quota: Quota) -> Text:
    """Whom a quota limits, in words."""
    if quota.user:
        name = str(quota.user)
    elif quota.group:
        name = (_("each of %(group)s") if quota.each else _("%(group)s together")) % {"group": quota.group}
    else:
        return _("everything in %(cluster)s") % {"cluster": quota.cluster}
    return _("%(whose)s, in %(cluster)s") % {"whose": name, "cluster": quota.cluster} if quota.cluster else name


def page_of(kind: str, pk: Any) -> str:
    """The address of an object's page; "" for what has none."""
    try:
        return reverse(f"portal:{_PAGES.get(kind, kind)}", args=[pk]) if kind in GRANTABLE else ""
    except NoReverseMatch:
        return ""


def names_of(actor: Actor, grants: Iterable[OnObject]) -> dict[tuple[str, UUID | None], str]:
    """What grants are on, by name, as far as `actor` may see it: one query a kind."""
    wanted: dict[str, set[UUID | None]] = defaultdict(set)
    for grant in grants:
        if grant.object_kind in KINDS:
            wanted[grant.object_kind].add(grant.object_id)
    reads_all = may(actor, "system.view")
    found: dict[tuple[str, UUID | None], str] = {}
    for kind, ids in wanted.items():
        rows: models.QuerySet[Any] = KINDS.get(kind).model._default_manager.filter(pk__in=ids)
        for row in rows if reads_all else visible_to(actor, rows):
            found[kind, row.pk] = str(row)
    return found


def place(grant: OnObject, names: dict[tuple[str, UUID | None], str]) -> str:
    """Where a grant holds: "pool Office"."""
    word = str(KIND_WORDS.get(grant.object_kind, grant.object_kind))
    if grant.object_kind == "system":
        return word
    name = names.get((grant.object_kind, grant.object_id))
    return f"{word} {name}" if name else _("a %(kind)s you do not see") % {"kind": word}


def permission_actions(actor: Actor, kind: str, obj: models.Model) -> list[Action]:
    """The button of an object's page that leads to who may what on it, for who may read that."""
    if not (may(actor, "system.view") or may(actor, f"{kind}.manage", obj)):
        return []
    return [Action(_("Permissions"), reverse("portal:permissions", args=[kind, obj.pk]), "key", link=True)]


def rights_action(user: User) -> Action:
    """The button of a user's page that leads to what they may do."""
    return Action(_("What they may do"), reverse("portal:rights", args=[user.pk]), "key", link=True)


def sentence(way: Way) -> str:
    """One way to a right in words: "Pool user, through the group staff, on the cluster main"."""
    if way.lent:
        return _("has this desktop")
    # What a title explains in brackets would be said with every right again.
    parts = [_(way.title).partition(" (")[0]]
    if way.group:
        parts.append(_("through the group %(group)s") % {"group": way.group})
    word = str(KIND_WORDS.get(way.kind, way.kind))
    if way.kind == "system":
        parts.append(_("on %(what)s") % {"what": word})
    elif way.name:
        parts.append(_("on the %(kind)s %(name)s") % {"kind": word, "name": way.name})
    else:
        parts.append(_("on a %(kind)s you do not see") % {"kind": word})
    return ", ".join(parts)


GROUPS: Sequence[tuple[Text, Sequence[str]]] = (
    (gettext_lazy("Machines"), ("vm",)),
    (gettext_lazy("Pools"), ("pool", "meta-pool")),
    (gettext_lazy("Templates"), ("template",)),
    (gettext_lazy("Infrastructure"), ("cluster", "host", "storage", "network")),
    (gettext_lazy("People and quotas"), ("user", "group", "directory", "quota")),
    (gettext_lazy("System"), ("system", "job", "event")),
)


def answer_mark(answer: Answer) -> Mark:
    """Yes, no, or that it depends on the object."""
    if answer.allowed:
        return Mark(_("Yes"), "good")
    return Mark(_("In places"), "busy") if answer.ways else Mark(_("No"), "idle")


def sections(answers: Iterable[Answer]) -> list[dict[str, Any]]:
    """The answers by what they are about, those that say no apart; kinds that no group names come last."""
    by_kind: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_kind[answer.verb.partition(".")[0]].append(answer)
    named = {kind for _label, kinds in GROUPS for kind in kinds}
    groups = [*GROUPS, (_("Other"), tuple(kind for kind in by_kind if kind not in named))]
    found = []
    for label, kinds in groups:
        mine = [answer for kind in kinds for answer in by_kind.get(kind, ())]
        if mine:
            rows = [
                {
                    "verb": answer.verb,
                    "words": _(answer.words),
                    "mark": answer_mark(answer),
                    "ways": [sentence(way) for way in answer.ways],
                }
                for answer in mine
                if answer.allowed or answer.ways
            ]
            without = [
                {"verb": answer.verb, "words": _(answer.words)}
                for answer in mine
                if not (answer.allowed or answer.ways)
            ]
            found.append({"label": label, "rows": rows, "without": without})
    return found
