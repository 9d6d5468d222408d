"""What somebody may do here and why, put together for the page and the API: rights, quotas, pools and desktops."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models

from broker.access.actor import Actor
from broker.access.explain import Answer, Limit, limits, rights
from broker.access.kinds import GRANTABLE, KINDS
from broker.access.require import find, visible_to
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.virt.models import VirtualMachine
from pools.models import Pool
from pools.queries import mine


@dataclass(frozen=True, slots=True)
class Rights:
    """`pools`: of which the user may take a desktop now; `desktops`: the machines of those they have."""

    user: User
    active: bool
    object: models.Model | None
    answers: Sequence[Answer]
    quotas: Sequence[Limit]
    pools: Sequence[Pool]
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
    theirs = mine(Actor.for_user(user)) if user.is_active else None
    held = [held.desktop.vm for held in theirs.held] if theirs else []
    offered = list(theirs.offered) if theirs else []
    if asker.user_id != user.pk:
        seen = set(visible_to(asker, Pool.objects.filter(pk__in=[one.pk for one in offered])).values_list("pk"))
        offered = [pool for pool in offered if (pool.pk,) in seen]
        known = VirtualMachine.objects.filter(pk__in=[one.pk for one in held])
        seen = set(visible_to(asker, known).values_list("pk"))
        held = [vm for vm in held if (vm.pk,) in seen]
    return Rights(user, user.is_active, obj, rights(asker, user, obj), limits(asker, user), offered, held)
