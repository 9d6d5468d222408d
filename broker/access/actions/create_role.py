"""Make a role of one's own."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.models import Role
from broker.access.require import require
from broker.access.verbs import checked_verbs
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.record import record


@transaction.atomic
def create_role(*, actor: Actor, name: str, title: str, verbs: list[str]) -> Role:
    """Returns the role. Raises Denied, Invalid for an unknown verb, Conflict when the name is taken."""
    require(actor, "system.manage")
    verbs = checked_verbs(verbs)
    if Role.objects.filter(name=name).exists():
        raise Conflict(N_("There is a role called %(name)s already."), fix=N_("Choose another name."), name=name)
    role = Role.objects.create(name=name, title=title, verbs=verbs)
    record(
        "role.created", actor=actor, subject=role, message=N_("Role %(name)s was made: %(verbs)s"),
        name=name, verbs=", ".join(verbs),
    )  # fmt: skip
    return role
