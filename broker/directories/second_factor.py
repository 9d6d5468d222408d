"""Codes of an app on the phone (TOTP, RFC 6238) and recovery codes: made, shown once, and taken once.

Apps know SHA-1, six digits and thirty seconds; few know more. A code is taken from the period before and after as
well, for clocks differ.
"""

import base64
import re
import secrets
import unicodedata
from typing import Any

from django.db import transaction
from django.utils.crypto import constant_time_compare, salted_hmac

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Invalid, Unavailable
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.events.record import record

from . import throttle
from .models import RecoveryCode, SecondFactor, User

SECONDS = 30
DIGITS = 6
RECOVERY_CODES = 10
LONGEST = 64
SEALER = Sealer("second factor")
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")
_RECOVERY = re.compile(r"[a-z2-7]{16}")


def demanded(user: User, actor: Actor) -> bool:
    """Whether the user's directory, or a role that `actor` (the user) holds, wants a second factor."""
    return user.directory.second_factor or any(held.second_factor for held in actor.grants())


def new_secret() -> str:
    """160 bits, as apps take them when somebody types them in."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def address_of(secret: str, user: User) -> str:
    """What the picture for the phone says."""
    return str(_totp(secret).get_provisioning_uri(user.username, "Berth"))


def step_of(secret: str, typed: str) -> int | None:
    """The period of which this is the code: the present one, the one before or the one after; else None."""
    code, now, found = _plain(typed), int(clock.now().timestamp()) // SECONDS, None
    if not _CODE.fullmatch(code):
        return None
    totp = _totp(secret)
    for step in (now - 1, now, now + 1):
        if constant_time_compare(totp.generate(step * SECONDS).decode(), code):
            found = step
    return found


def wrong_code() -> Invalid:
    return Invalid(
        N_("This code is not right, or was used already."),
        field="code",
        fix=N_("Type the newest one of the app; if none works, look at the clock of the phone."),
    )


def spend(user: User, typed: str, *, address: str | None, device: str = "") -> None:
    """Take a code of the user's app, or a recovery code, so that it never works again.

    Call it outside of a transaction: a try is counted whatever comes of it. Raises Invalid for the field `code`,
    TooManyTries, or Unavailable when the secret cannot be read.
    """
    attempt = throttle.begin(user.username, address, device, code=True)
    if not (_spend_code(user, typed) or _spend_recovery_code(user, typed, address)):
        attempt.failed()
        raise wrong_code()
    attempt.succeeded()


def write_recovery_codes(factor: SecondFactor) -> list[str]:
    """New ones in place of all others: the codes, to be shown once."""
    codes = [base64.b32encode(secrets.token_bytes(10)).decode().lower() for _ in range(RECOVERY_CODES)]
    factor.recovery_codes.all().delete()
    RecoveryCode.objects.bulk_create(RecoveryCode(factor=factor, digest=_digest(factor.pk, code)) for code in codes)
    return ["-".join(code[at : at + 4] for at in range(0, len(code), 4)) for code in codes]


def _spend_code(user: User, typed: str) -> bool:
    factor = SecondFactor.objects.filter(user=user).first()
    if factor is None or not _CODE.fullmatch(_plain(typed)):
        return False
    try:
        step = step_of(SEALER.open(factor.secret), typed)
    except CannotOpen:
        raise Unavailable(
            N_("The second factor cannot be checked any more: the secret key of Berth was changed."),
            fix=N_("An administrator has to reset it."),
            rule="second-factor.key",
        ) from None
    # Of two who show the same code at once, one finds the row as it was.
    return step is not None and bool(
        SecondFactor.objects.filter(user=user, last_step__lt=step, secret=factor.secret).update(last_step=step)
    )


@transaction.atomic
def _spend_recovery_code(user: User, typed: str, address: str | None) -> bool:
    code = _plain(typed)
    if not _RECOVERY.fullmatch(code):
        return False
    gone, _ = RecoveryCode.objects.filter(factor=user.pk, digest=_digest(user.pk, code)).delete()
    if gone:
        record(
            "user.recovery-code-used", actor=Actor.for_user(user, address=address), subject=user, severity="warning",
            message=N_("%(name)s used a recovery code in place of the second factor; left: %(left)s"), name=user,
            left=RecoveryCode.objects.filter(factor=user.pk).count(),
        )  # fmt: skip
    return bool(gone)


def _plain(typed: str) -> str:
    """As it is written: people type the gaps along, and some keyboards have digits of their own."""
    return re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", typed[:LONGEST])).lower()


def _digest(user_id: Any, code: str) -> str:
    return salted_hmac("berth.recovery-code", f"{user_id} {code}", algorithm="sha256").hexdigest()


def _totp(secret: str) -> Any:
    # Loaded with the first code: most sign-ins need none.
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.twofactor.totp import TOTP

    return TOTP(base64.b32decode(secret), DIGITS, SHA1(), SECONDS, enforce_key_length=False)  # noqa: S303 - what apps know
