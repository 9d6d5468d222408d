"""Do without one's own second factor again."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import SecondFactor, User
from broker.directories.rules import require_self
from broker.directories.second_factor import demanded, spend
from broker.events.news import publish
from broker.events.record import record


def drop_second_factor(*, actor: Actor, user: User, code: str, device: str = "") -> User:
    """Returns the user; other sign-ins end. Takes a code of it, which is spent.

    Raises Missing, Denied (not one's own account), Conflict when one is demanded, Invalid for the code, TooManyTries.
    """
    require_self(actor, user)
    if demanded(user, actor):
        raise Conflict(
            N_("You have to have a second factor."),
            rule="second-factor.demanded",
            fix=N_("To move it to another phone, ask an administrator to reset it: you set it up anew then."),
        )
    spend(user, code, address=actor.address, device=device)
    with transaction.atomic():
        SecondFactor.objects.filter(user=user).delete()
        user.second_factor_at = None
        user.save(update_fields=["second_factor_at"])
        record(
            "user.second-factor-dropped", actor=actor, subject=user, severity="warning",
            message=N_("%(name)s turned the second factor off"), name=user,
        )  # fmt: skip
        publish("user", user.pk)
    return user
