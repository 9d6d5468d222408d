"""Change how a local user is shown."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.directories.rules import checked_email, checked_text, ensure_local, require_over
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def edit_user(*, actor: Actor, user: User, display_name: str | None = None, email: str | None = None) -> User:
    """Returns the user. Raises Denied, Invalid with the field, or Conflict for a user kept in another directory."""
    require_over(actor, user)
    ensure_local(user.directory)
    if display_name is not None:
        user.display_name = checked_text(display_name, "display_name")
    if email is not None:
        user.email = checked_email(email)
    user.save(update_fields=["display_name", "email"])
    record("user.changed", actor=actor, subject=user, message=N_("User %(name)s was changed"), name=user)
    publish("user", user.pk)
    return user
