"""What somebody may do and why: each verb with the grants that give it, and the way they get to the object.

The answers are those of `may`; a property test holds the two together.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import models
from django.db.models import Q

from .actor import Actor
from .kinds import KINDS, kind_of
from .lineage import lineage
from .models import Grant, Quota
from .quota import applying_to
from .require import may, visible_to
from .roles import covers
from .usage import Use, uses
from .verbs import VERBS

HIDDEN = ""
"""The name of an object that whoever asks may not see."""


@dataclass(frozen=True, slots=True)
class Way:
    """One grant that gives a verb. `group` is empty for one's own; `inherited`: it is on something above the object.

    `lent`: no grant, but what comes with being the holder of the object; then all else is empty.
    """

    role: str = ""
    title: str = ""
    group: str = ""
    kind: str = ""
    object_id: UUID | None = None
    name: str = HIDDEN
    inherited: bool = False
    lent: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """`allowed`: on the object asked about, or without one on the whole system. `ways` without an object are all
    there are, on whatever object."""

    verb: str
    words: str
    allowed: bool
    ways: Sequence[Way]


@dataclass(frozen=True, slots=True)
class Limit:
    """A quota that counts for the user, and how much of it is used."""

    quota: Quota
    uses: Sequence[Use]


def rights(asker: Actor, user: Any, obj: models.Model | None = None) -> list[Answer]:
    """Every verb that makes sense for `obj` (all without one) for `user`, as `asker` may know it.

    The caller has found `user` and `obj` for the asker. A number of queries that depends on kinds alone.
    """
    verbs = list(VERBS) if obj is None else verbs_for(obj)
    if not user.is_active:
        return [Answer(verb, VERBS[verb], False, ()) for verb in verbs]
    grants = list(
        Grant.objects.filter(Q(user=user) | Q(group__members=user)).select_related("role", "group").distinct()
    )
    above = lineage(obj) if obj is not None else None
    if above is not None:
        grants = [one for one in grants if one.object_kind == "system" or (one.object_kind, one.object_id) in above]
    names = _names(asker, user, grants)
    ways = [(one, _way(one, obj, names)) for one in grants]
    lent = _lent(user, obj)
    answers = []
    for verb in verbs:
        found = [(one, way) for one, way in ways if covers(one.role.verbs, verb)]
        allowed = bool(found) if obj is not None else any(one.object_kind == "system" for one, _way in found)
        shown = [way for _grant, way in found] + ([Way(lent=True)] if verb in lent else [])
        answers.append(Answer(verb, VERBS[verb], allowed or verb in lent, shown))
    return answers


def verbs_for(obj: models.Model) -> list[str]:
    """The verbs on the object itself and on what inherits from it."""
    kind = kind_of(obj).name
    kinds = {kind, *(one.name for one in KINDS if kind in one.parents)}
    return [verb for verb in VERBS if verb.partition(".")[0] in kinds and verb != f"{kind}.create"]


def limits(asker: Actor, user: Any) -> list[Limit]:
    """The quotas that limit `user`, with their own share of those of each member; as far as `asker` may see them."""
    rows = applying_to(user.pk, None)
    if asker.user_id != user.pk or asker.scope is not None:
        rows = visible_to(asker, rows)
    quotas = list(rows.order_by("created_at", "pk"))
    used = uses(quotas, of=user.pk)
    return [Limit(quota, used[quota.pk]) for quota in quotas]


def _way(grant: Grant, obj: models.Model | None, names: dict[tuple[str, UUID | None], str]) -> Way:
    return Way(
        role=grant.role.name,
        title=grant.role.title,
        group=str(grant.group) if grant.group else "",
        kind=grant.object_kind,
        object_id=grant.object_id if (grant.object_kind, grant.object_id) in names else None,
        name=names.get((grant.object_kind, grant.object_id), HIDDEN),
        inherited=obj is not None and grant.object_id != obj.pk,
    )


def _names(asker: Actor, user: Any, grants: Iterable[Grant]) -> dict[tuple[str, UUID | None], str]:
    """What the grants are on, by kind and id, as far as `asker` may see it: one query a kind."""
    ids: dict[str, set[UUID | None]] = defaultdict(set)
    for one in grants:
        if one.object_kind in KINDS:
            ids[one.object_kind].add(one.object_id)
    all_of_it = (asker.user_id == user.pk and asker.scope is None) or may(asker, "system.view")
    found: dict[tuple[str, UUID | None], str] = {}
    for kind, wanted in ids.items():
        rows = KINDS.get(kind).model._default_manager.filter(pk__in=wanted)
        for row in rows if all_of_it else visible_to(asker, rows):
            found[kind, row.pk] = str(row)
    return found


def _lent(user: Any, obj: models.Model | None) -> frozenset[str]:
    """The verbs that come with being the object's holder."""
    if obj is None:
        return frozenset()
    kind = kind_of(obj)
    if not kind.owner or not kind.model._base_manager.filter(pk=obj.pk, **{kind.owner: user.pk}).exists():
        return frozenset()
    return frozenset(kind.owner_verbs)
