"""Phones of tests: codes made by the standard's own words (RFC 4226 and 6238), not by what Berth uses."""

import base64
import hashlib
import hmac
import struct
from datetime import UTC, datetime, timedelta

import pytest

from broker.access.actor import Actor
from broker.core import clock
from broker.directories import second_factor
from broker.directories.actions.set_up_second_factor import set_up_second_factor
from broker.directories.models import User

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


@pytest.fixture(name="at")
def stopped_clock(monkeypatch):
    """The clock stands still until it is set on."""

    class Hands:
        now = NOON

        def on(self, seconds: float) -> None:
            self.now += timedelta(seconds=seconds)

    hands = Hands()
    monkeypatch.setattr(clock, "now", lambda: hands.now)
    return hands


class Phone:
    """An app with one secret in it."""

    def __init__(self, secret: str):
        self.secret = secret

    def code(self, later: int = 0) -> str:
        """The code of the present period, or of one that comes `later`."""
        step = int(clock.now().timestamp()) // 30 + later
        digest = hmac.digest(base64.b32decode(self.secret), struct.pack(">Q", step), hashlib.sha1)
        start = digest[-1] & 15
        number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
        return f"{number % 1_000_000:06}"

    def wrong(self) -> str:
        """One that is not taken now."""
        right = {self.code(later) for later in (-1, 0, 1)}
        return next(code for code in ("000000", "111111", "222222", "333333") if code not in right)


def set_up(user: User) -> tuple[Phone, list[str]]:
    """A second factor for the user: the phone and the recovery codes. The present code is spent with it."""
    phone = Phone(second_factor.new_secret())
    person = User.objects.get(pk=user.pk)
    codes = set_up_second_factor(actor=Actor.for_user(person), user=person, secret=phone.secret, code=phone.code())
    user.refresh_from_db()
    return phone, codes
