"""Who makes something with no right to manage it owns it: a role on the new object, as if an administrator gave it."""

from django.db import models

from broker.core.text import gettext_noop as N_
from broker.events.record import record

from .actor import Actor
from .handing_out import lacking
from .kinds import kind_of
from .models import Grant, Role


def give_to_maker(actor: Actor, role_name: str, obj: models.Model) -> None:
    """Grant the builtin role on the row just written, unless the actor has its rights there anyway."""
    if actor.user is None:
        return
    role = Role.objects.get(name=role_name)
    # To the person, whose it is: not to the token, which may see less than the person has.
    if not lacking(actor.without_scope(), role.verbs, obj):
        return
    Grant.objects.create(role=role, user=actor.user, object_kind=kind_of(obj).name, object_id=obj.pk)
    # The actor's next question in this request is to know of it.
    actor.forget()
    record(
        "grant.given",
        actor=actor,
        subject=obj,
        message=N_("%(who)s made %(what)s and was given the role %(role)s on it"),
        who=actor.user,
        what=obj,
        role=role.name,
    )
