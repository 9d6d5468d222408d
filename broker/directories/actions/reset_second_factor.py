"""Take the second factor from somebody who lost it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.errors import Denied
from broker.core.text import gettext_noop as N_
from broker.directories.models import SecondFactor, User
from broker.directories.rules import require_over
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def reset_second_factor(*, actor: Actor, user: User) -> User:
    """Returns the user, whose sign-ins end; where one is demanded, the next sets it up anew. Twice has one effect.

    Raises Missing or Denied, also for one's own: an open browser is no proof of who sits before it.
    """
    require_over(actor, user)
    if user.pk == actor.user_id:
        raise Denied(
            N_("Nobody resets a second factor of their own."),
            rule="second-factor.own",
            fix=N_("Turn it off on the page of your account, or ask another administrator."),
        )
    gone, _ = SecondFactor.objects.filter(user=user).delete()
    changed = User.objects.filter(pk=user.pk, second_factor_at__isnull=False).update(second_factor_at=None)
    user.second_factor_at = None
    if gone or changed:
        record(
            "user.second-factor-reset", actor=actor, subject=user, severity="warning",
            message=N_("The second factor of %(name)s was reset"), name=user,
        )  # fmt: skip
        publish("user", user.pk)
    return user
