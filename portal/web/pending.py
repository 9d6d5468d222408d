"""A sign-in that waits for its second factor: the password was right, and nobody is signed in yet.

It is kept in a session that is nobody's, for ten minutes, and only as long as the account stays as it was.
"""

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from broker.access.actor import Actor
from broker.core import clock
from broker.core.sealing import CannotOpen
from broker.directories.models import User
from broker.directories.second_factor import SEALER, demanded, new_secret

KEY = "waits_for_second_factor"
SECRET = "second_factor_to_be"  # noqa: S105 - the name under which a sealed one is kept
SECONDS = 600


@dataclass(frozen=True, slots=True)
class Pending:
    """`device`: the browser's id at the password; `wanted`: the page that was asked for, "" for none."""

    user: User
    device: str
    wanted: str


def needs_second_factor(user: User, actor: Actor) -> bool:
    """Whether the password alone does not sign this user in. Nothing is read for it that a sign-in does not read."""
    return user.second_factor_at is not None or (not user.factor_elsewhere and demanded(user, actor))


def wait(request: HttpRequest, user: User, *, device: str, wanted: str) -> None:
    """Keep the sign-in for the next step, in a session of its own."""
    request.session.flush()
    request.session[KEY] = {
        "user": str(user.pk), "account": user.get_session_auth_hash(), "at": clock.now().timestamp(),
        "device": device, "wanted": wanted,
    }  # fmt: skip


def waiting(request: HttpRequest) -> Pending | None:
    """Whose second factor is waited for; None when the time is over or the account was changed since."""
    kept: Any = request.session.get(KEY)
    if not kept or not 0 <= clock.now().timestamp() - kept["at"] <= SECONDS:
        return None
    user = User.objects.select_related("directory").filter(pk=kept["user"], is_active=True).first()
    if user is None or not constant_time_compare(kept["account"], user.get_session_auth_hash()):
        return None
    return Pending(user, kept["device"], kept["wanted"])


def secret_to_be(request: HttpRequest) -> str:
    """The secret on offer in this session: the same until it is taken, or a page that was opened twice would lie."""
    try:
        if kept := SEALER.open(request.session.get(SECRET, "")):
            return kept
    except CannotOpen:
        pass
    secret = new_secret()
    request.session[SECRET] = SEALER.seal(secret)
    return secret


def forget(request: HttpRequest) -> None:
    for key in (KEY, SECRET):
        request.session.pop(key, None)
