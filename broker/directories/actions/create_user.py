"""Make a local user."""

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory, User
from broker.directories.rules import checked_email, checked_password, checked_text, checked_username, ensure_local
from broker.events.news import publish
from broker.events.record import record


@transaction.atomic
def create_user(
    *,
    actor: Actor,
    username: str,
    password: str = "",
    display_name: str = "",
    email: str = "",
    directory: Directory | None = None,
) -> User:
    """Returns the user; without a password they cannot sign in until one is set.

    Raises Denied, Invalid with the field, or Conflict when the name is taken.
    """
    require(actor, "user.manage")
    directory = directory or _local()
    ensure_local(directory)
    user = User(
        directory=directory,
        username=checked_username(username),
        display_name=checked_text(display_name, "display_name"),
        email=checked_email(email),
    )
    if password:
        user.set_password(checked_password(password, user))
    else:
        user.set_unusable_password()
    taken = Conflict(
        N_("There is a user called %(name)s already."),
        rule="name.unique",
        fix=N_("Choose another user name."),
        name=user.username,
    )
    if User.objects.filter(username__iexact=user.username).exists():
        raise taken
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        raise taken from None
    record("user.created", actor=actor, subject=user, message=N_("User %(name)s was made"), name=user)
    publish("user", user.pk, "created")
    return user


def _local() -> Directory:
    directory = Directory.objects.filter(kind="local").first()
    if directory is None:
        raise Conflict(
            N_("There is no directory for local users."),
            rule="directory.local",
            fix=N_("Make one of the kind “local” in the administration."),
        )
    return directory
