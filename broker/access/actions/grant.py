"""Give a user or a group a role, on one object or on the whole system."""

from typing import Any

from django.db import IntegrityError, models, transaction

from broker.access.actor import Actor
from broker.access.handing_out import ensure_may_hand_out
from broker.access.kinds import kind_of
from broker.access.models import Grant, Role
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def grant(*, actor: Actor, role: Role, user: Any = None, group: Any = None, obj: models.Model | None = None) -> Grant:
    """Returns the new Grant. `obj` None is the whole system.

    Who may not manage the system may still pass on, for an object they manage, what they may do to it themselves.
    Raises Denied, Invalid, or Conflict when it is granted already.
    """
    ensure_may_hand_out(actor, role, obj)
    if (user is None) == (group is None):
        raise Invalid(N_("A grant goes to a user or to a group."), field="user", fix=N_("Give exactly one of the two."))
    try:
        with transaction.atomic():
            row = Grant.objects.create(
                role=role,
                user=user,
                group=group,
                object_kind=kind_of(obj).name if obj is not None else "system",
                object_id=obj.pk if obj is not None else None,
            )
    except IntegrityError:
        raise Conflict(
            N_("%(who)s has this role there already."),
            rule="grant.once",
            fix=N_("Nothing needs to be done."),
            who=str(user or group),
        ) from None
    record(
        "grant.given",
        actor=actor,
        subject=obj if obj is not None else (user or group),
        message=N_("%(who)s was given the role %(role)s on %(what)s"),
        who=user or group,
        role=role.name,
        what=obj if obj is not None else "system",
    )
    publish("grant", row.pk, "created")
    return row
