"""Who signed in, out, or tried to: an event each, from Django's own signals, so that no door is forgotten."""

from datetime import timedelta
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest

from broker.access.actor import Actor
from broker.connections.signing_out import end_native_of
from broker.connections.timing import SIGNED_IN
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.directories.kinds import ELSEWHERE, KINDS
from broker.directories.throttle import shown_name
from broker.events.record import record


def _actor(request: HttpRequest | None, user: Any = None) -> Actor:
    """The person, or nobody, at the address the request came from."""
    address = (request.META.get("REMOTE_ADDR") or None) if request else None
    return Actor.for_user(user, address=address) if user else Actor(user=None, name="anonymous", address=address)


def _longest(user: Any) -> int | None:
    """How many hours a sign-in of the user's directory is good at most, where nothing else tells who is out."""
    if user.directory.kind not in ELSEWHERE:
        return None
    kind: Any = KINDS.get(user.directory.kind)
    hours: int = kind.session_hours(user.directory)
    return hours


@receiver(user_logged_in)
def signed_in(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    if began_at := getattr(request, "began_at", None):
        request.session[SIGNED_IN] = [began_at.isoformat(), (clock.now() - began_at).total_seconds()]
    if hours := _longest(user):
        request.session.set_expiry(clock.now() + timedelta(hours=hours))
    record("user.signed-in", actor=_actor(request, user), subject=user, message=N_("%(name)s signed in"), name=user)


@receiver(user_logged_out)
def signed_out(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    if user is not None:
        end_native_of(user, request.session.session_key or "")
        record(
            "user.signed-out", actor=_actor(request, user), subject=user, message=N_("%(name)s signed out"), name=user
        )


@receiver(user_login_failed)
def refused(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **kwargs: Any) -> None:
    """The name as typed, as far as it can be shown; never the password."""
    record(
        "user.sign-in-refused",
        actor=_actor(request),
        severity="warning",
        message=N_("Somebody tried to sign in as “%(name)s” and was refused"),
        name=shown_name(str(credentials.get("username") or "")),
    )
