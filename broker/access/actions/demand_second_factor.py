"""Have everybody who holds a role sign in with a second factor, or no longer."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.models import Role
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.record import record


@transaction.atomic
def demand_second_factor(*, actor: Actor, role: Role, demanded: bool) -> Role:
    """Returns the role, builtin ones too. Raises Denied.

    Sign-ins of those who have none are good for nothing but setting one up, from the next question on
    (broker/directories/demands.py): the actor's own, too.
    """
    require(actor, "system.manage")
    if Role.objects.filter(pk=role.pk).exclude(second_factor=demanded).update(second_factor=demanded):
        role.second_factor = demanded
        message = (
            N_("Holders of the role %(name)s have to have a second factor from now on")
            if demanded
            else N_("Holders of the role %(name)s need no second factor any more")
        )
        record("role.second-factor", actor=actor, subject=role, severity="warning", message=message, name=role.name)
    return role
