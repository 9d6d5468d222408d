"""Keep a user out: no sign-in, sessions and consoles end."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.administrators import ensure_one_is_left
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.directories.rules import require_over
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def disable_user(*, actor: Actor, user: User) -> User:
    """Returns the user; twice has one effect. Raises Denied, or Conflict for the last administrator."""
    require_over(actor, user)
    if not User.objects.filter(pk=user.pk, is_active=True).update(is_active=False):
        # Kept out by the directory: from now on by us, whatever the directory says later.
        User.objects.filter(pk=user.pk, is_active=False).update(disabled_in_directory=False)
        return user
    user.is_active = False
    ensure_one_is_left()
    record(
        "user.disabled",
        actor=actor,
        subject=user,
        severity="warning",
        message=N_("User %(name)s was disabled"),
        name=user,
    )
    publish("user", user.pk, "disabled")
    return user
