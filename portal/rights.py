"""What somebody may do here and why, put together for the page and the API: rights, quotas, pools and desktops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from django.db import models

from broker.access.actor import Actor
from broker.access.explain import Answer, Limit, limits, rights
from broker.access.kinds import GRANTABLE, KINDS
from broker.access.require import find, visible_to
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.virt.models import VirtualMachine
from pools.models import MetaPool, Pool
from pools.queries import mine, offered_meta_pools

Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True, slots=True)
class Rights:
    """`pools`, `meta_pools`: of which the user may take a desktop now; `desktops`: the machines of those they have."""

    user: User
    active: bool
    object: models.Model | None
    answers: Sequence[Answer]
    quotas: Sequence[Limit]
    pools: Sequence[Pool]
    meta_pools: Sequence[MetaPool]
    desktops: Sequence[VirtualMachine]


def asked_object(asker: Actor, kind: str | None, pk: Any) -> models.Model | None:
    """The object that is asked about, or None. Raises Invalid for half a name, Missing for what is not seen."""
    if not kind and not pk:
        return None
    if not pk or kind not in GRANTABLE:
        raise Invalid(
            N_("This is no object."), field="object_kind" if kind not in GRANTABLE else "object_id",
            fix=N_("Give a kind and an id; kinds are: %(kinds)s."), kinds=", ".join(GRANTABLE),
        )  # fmt: skip
    model: Any = KINDS.get(kind).model
    found: models.Model = find(asker, model, pk)
    return found


def rights_of(asker: Actor, user: User, obj: models.Model | None = None) -> Rights:
    """What `user` (whom `asker` may see) may do to `obj`, or anywhere; told as far as `asker` may know it."""
    held, offered, metas = list[VirtualMachine](), list[Pool](), list[MetaPool]()
    if user.is_active:
        theirs = mine(Actor.for_user(user))
        held, offered = [one.desktop.vm for one in theirs.held], list(theirs.offered)
        metas = offered_meta_pools(Actor.for_user(user), theirs)
    if asker.user_id != user.pk:
        held, offered, metas = _seen(asker, held), _seen(asker, offered), _seen(asker, metas)
    return Rights(user, user.is_active, obj, rights(asker, user, obj), limits(asker, user), offered, metas, held)


def _seen(asker: Actor, rows: list[Row]) -> list[Row]:
    """Those that `asker` may see: one query, none for nothing."""
    if not rows:
        return rows
    known = visible_to(asker, type(rows[0])._default_manager.filter(pk__in=[row.pk for row in rows]))
    seen = set(known.values_list("pk", flat=True))
    return [row for row in rows if row.pk in seen]
