"""Let a disabled user in again."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.directories.rules import require_over
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def enable_user(*, actor: Actor, user: User) -> User:
    """Returns the user; twice has one effect. Raises Missing or Denied."""
    require_over(actor, user)
    if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        user.is_active = True
        record("user.enabled", actor=actor, subject=user, message=N_("User %(name)s was enabled"), name=user)
        publish("user", user.pk)
    return user
