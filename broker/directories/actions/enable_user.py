"""Let a disabled user in again."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.directories.rules import require_over
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def enable_user(*, actor: Actor, user: User) -> User:
    """Returns the user; twice has one effect. Raises Missing, Denied, or Conflict when the directory keeps them out."""
    require_over(actor, user)
    user.refresh_from_db(fields=["is_active", "disabled_in_directory"])
    if user.disabled_in_directory:
        raise Conflict(
            N_("%(name)s is disabled in, or gone from, the directory %(directory)s."),
            rule="directory.truth",
            fix=N_("Enable the user there; Berth follows within seconds."),
            name=user.username,
            directory=user.directory.name,
        )
    if User.objects.filter(pk=user.pk, is_active=False).update(is_active=True):
        user.is_active = True
        record("user.enabled", actor=actor, subject=user, message=N_("User %(name)s was enabled"), name=user)
        publish("user", user.pk)
    return user
