"""Give a local user a new password; sessions and API tokens made with the old one end."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require_account
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.directories.rules import checked_password, ensure_local, require_over
from broker.directories.signals import password_set
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def set_password(*, actor: Actor, user: User, password: str) -> User:
    """Returns the user; anybody may set their own. Raises Missing, Denied, Invalid, Conflict (not local)."""
    if actor.user_id == user.pk:
        require_account(actor)
    else:
        require_over(actor, user)
    ensure_local(user.directory)
    user.set_password(checked_password(password, user))
    user.save(update_fields=["password"])
    record("user.password", actor=actor, subject=user, message=N_("The password of %(name)s was set"), name=user)
    password_set.send(sender=User, user=user, actor=actor)
    publish("user", user.pk)
    return user
