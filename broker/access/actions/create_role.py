"""Make a role of one's own, from nothing or as a copy of another."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.handing_out import ensure_within_own
from broker.access.models import Role
from broker.access.require import require
from broker.access.verbs import checked_verbs
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record


@transaction.atomic
def create_role(
    *, actor: Actor, name: str, title: str, verbs: list[str] | None = None, like: Role | None = None
) -> Role:
    """Returns the role, with `verbs`, or without them those of `like`.

    Raises Denied (also for rights that the actor does not have), Invalid for an unknown verb, Conflict when the name
    is taken.
    """
    require(actor, "system.manage")
    verbs = checked_verbs(list(like.verbs) if verbs is None and like is not None else verbs or [])
    ensure_within_own(actor, verbs, None, role=name)
    if Role.objects.filter(name=name).exists():
        raise Conflict(
            N_("There is a role called %(name)s already."),
            rule="name.unique",
            fix=N_("Choose another name."),
            name=name,
        )
    role = Role.objects.create(name=name, title=title, verbs=verbs)
    record(
        "role.created", actor=actor, subject=role, message=N_("Role %(name)s was made: %(verbs)s"),
        name=name, verbs=", ".join(verbs),
    )  # fmt: skip
    return role
