"""Sign-ins are slowed down when passwords are being guessed, and nobody can lock somebody else out.

Three counts, each a bucket that empties by itself:

- name and place: a few tries are free, then each costs a longer wait. The place is the browser when that name has
  signed in with it before, else the network.
- name alone: only tries from places where that name never signed in; never a lock, but a try every few seconds.
- network alone: failures whatever the name; a browser that is known is not asked about it.

A try is counted before the password is looked at, so that a hundred at once are not a hundred free ones; the network
is counted afterwards, because a whole site may come through one address at nine o'clock. Names are counted whether
anybody has them or not. What a stranger can learn is at most whether a name is used in the very network they are in.
"""

import ipaddress
import math
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import CharField, F, FloatField
from django.utils.crypto import salted_hmac

from broker import sql
from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.sql import Given, Statement, given, written

from .models import KnownPlace, ProviderAnswer, TryCount

REMEMBERED = timedelta(days=90)
SEEN_AGAIN = timedelta(days=1)
"""How old a known place's date gets before a sign-in writes it anew."""
TOLD_EVERY = 600.0
"""Seconds between two events about the same bucket."""
UNANSWERED = 0.25
"""What a try costs that no directory could answer: a broken directory is not the user's fault, nor a free guess."""
AT_ONCE = 5
"""How often a count is tried again when another request made its row at the same moment."""
_IGNORED = frozenset({"Cc", "Cf", "Mn", "Me", "Cs", "Co", "Cn"})


def _key_given(name: str) -> Given:
    return Given(name, CharField())


# Built once: every sign-in asks and writes all of these.
_KNOWN = Statement(
    lambda: (
        KnownPlace.objects.filter(key__in=(_key_given("device"), _key_given("network")))
        .order_by()
        .values_list("key", "seen_at")
    )
)
_SEEN = Statement(lambda: written(KnownPlace).filter(key=_key_given("key")).update(seen_at=sql.time("now")))
_BUCKETS = Statement(
    lambda: (
        TryCount.objects.select_for_update()
        .filter(key__in=tuple(_key_given(name) for name in ("first", "second", "third")))
        .order_by("key")
    )
)
_CHARGE = Statement(
    lambda: (
        written(TryCount).filter(key=_key_given("key")).update(**given(TryCount, "level", "at", "open_at", "gone_at"))
    )
)
_EMPTY = Statement(lambda: sql.deleted(TryCount.objects.filter(key=_key_given("key"))))
_GIVE_BACK = Statement(
    lambda: written(TryCount).filter(key=_key_given("key")).update(level=F("level") - Given("part", FloatField()))
)


class TooManyTries(BerthError):
    """Wait before the next sign-in; `retry_after` is in whole seconds."""

    code, status, retry, usual_rule = "throttled", 429, True, "sign-in.tries"

    def __init__(self, seconds: float):
        self.retry_after = max(1, math.ceil(seconds))
        super().__init__(
            N_("There were too many tries to sign in. Please wait %(seconds)s seconds."),
            fix=N_("Then try again with the right password, or ask an administrator to set a new one."),
            seconds=self.retry_after,
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """`free` tries, one of them coming back every `refill` seconds; beyond, waits doubling from `first` to `longest`.

    All times are in seconds.
    """

    free: int
    refill: float
    first: float
    longest: float

    def level(self, row: TryCount, now: float) -> float:
        """How full the bucket is by now."""
        return max(0.0, row.level - max(0.0, now - row.at) / self.refill)

    def wait(self, row: TryCount, now: float) -> float:
        """Seconds until the next try is let through; 0 when it may come at once."""
        return 0.0 if self.level(row, now) + 1 <= self.free else max(0.0, row.open_at - now)

    def charge(self, row: TryCount, now: float) -> None:
        """Count one try in the row."""
        row.level, row.at = self.level(row, now) + 1, now
        if row.level + 1 > self.free:
            # Bounded: two to the power of a few thousand is no float.
            doublings = min(max(row.level - self.free, 0), 64)
            row.open_at = now + min(self.first * 2**doublings, self.longest)
        row.gone_at = max(row.open_at, now + row.level * self.refill)


PLACE = Rule(free=5, refill=600, first=2, longest=900)
NAME = Rule(free=20, refill=15, first=15, longest=15)
CODE = Rule(free=10, refill=120, first=60, longest=120)
"""As NAME, for the code after a good password: some 700 tries a day from everywhere, of a million codes."""


def network_rule() -> Rule:
    """Failures from one network; how many are free is a setting, for sites behind one address."""
    return Rule(free=settings.SIGN_IN_TRIES, refill=6, first=6, longest=6)


@dataclass(frozen=True, slots=True)
class Try:
    """One sign-in that was let through; say how it went."""

    name: str
    address: str | None
    device: str
    known: bool
    place_key: str
    name_key: str
    network_key: str
    seen: Mapping[str, datetime]
    """Which of the two places are known, and since when."""

    def failed(self) -> None:
        """No directory took the password."""
        _count({}, {self.network_key: network_rule()})

    def unanswered(self) -> None:
        """A directory did not answer, so nobody knows."""
        self._give_back(1 - UNANSWERED)

    def succeeded(self) -> None:
        """The place becomes known for this name, and its count begins anew."""
        _EMPTY.run(key=self.place_key)
        if not self.known:
            _GIVE_BACK.run(key=self.name_key, part=1.0)
        now = clock.now()
        new = []
        for key in _places(self.name, self.address, self.device):
            seen = self.seen.get(key)
            if seen is not None and seen > now - SEEN_AGAIN:
                continue
            if seen is None or not _SEEN.run(key=key, now=now):
                new.append(KnownPlace(key=key, seen_at=now))
        if new:
            sql.add_unless_there(*new)

    def _give_back(self, part: float) -> None:
        for key in [self.place_key] if self.known else [self.place_key, self.name_key]:
            _GIVE_BACK.run(key=key, part=part)


def begin(name: str, address: str | None, device: str = "", *, code: bool = False) -> Try:
    """Count a try before the password is looked at.

    `name` as typed; `device` is the id of a known browser, "" without one. `code`: it is a code that was typed
    after the password: counts and places of its own, for who knows a password has six digits left to guess. Raises
    TooManyTries, of which an event tells once in ten minutes for each bucket.
    """
    # No name that is typed has a NUL once it is folded.
    folded, network = _folded(name) + ("\0code" if code else ""), network_of(address)
    device_key, network_place = _key("place", folded, f"device {device}"), _key("place", folded, f"network {network}")
    known = dict(_KNOWN.rows(device=device_key if device else network_place, network=network_place))
    by_device = device_key in known
    attempt = Try(
        name=folded,
        address=address,
        device=device,
        known=bool(known),
        place_key=_key("tries", folded, f"device {device}" if by_device else f"network {network}"),
        name_key=_key("tries", folded),
        network_key=_key("tries", "", f"network {network}"),
        seen=known,
    )
    charged = (
        {attempt.place_key: PLACE} if known else {attempt.place_key: PLACE, attempt.name_key: CODE if code else NAME}
    )
    looked_at = {} if by_device else {attempt.network_key: network_rule()}
    if refusal := _count(looked_at, charged):
        key, wait = refusal
        _tell(key, name, address)
        raise TooManyTries(wait)
    return attempt


def guessed_token(address: str | None) -> None:
    """An API token that nobody has was shown. Raises TooManyTries when that network shows one after the other.

    Call it only when the token was refused: a good one is never held up by the bad ones of a neighbour.
    """
    key = _key("tokens", "", f"network {network_of(address)}")
    if refusal := _count({}, {key: network_rule()}):
        raise TooManyTries(refusal[1])


def tidy() -> None:
    """The duty: forget counts that have run empty, places not seen for long, and answers of providers that are over."""
    TryCount.objects.filter(gone_at__lt=clock.now().timestamp()).delete()
    KnownPlace.objects.filter(seen_at__lt=clock.now() - REMEMBERED).delete()
    ProviderAnswer.objects.filter(until__lt=clock.now()).delete()


def network_of(address: str | None) -> str:
    """What counts as one place on the net: an IPv4 address, or the /64 that one IPv6 customer has at least."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))
    return str(parsed)


def _count(looked_at: Mapping[str, Rule], charged: Mapping[str, Rule]) -> tuple[str, float] | None:
    """Charge all buckets or, when one of them (or of those only looked at) is full, none: its key and the wait."""
    for _again in range(AT_ONCE):
        try:
            with transaction.atomic():
                return _count_once(looked_at, charged)
        except IntegrityError:
            # Somebody else's try made the row in between; it is there to be locked now.
            continue
    return next(iter(charged)), 1.0


def _count_once(looked_at: Mapping[str, Rule], charged: Mapping[str, Rule]) -> tuple[str, float] | None:
    now = clock.now().timestamp()
    rules = {**looked_at, **charged}
    first, second, third = [*rules, *(next(iter(rules)),) * 2][:3]
    rows = {row.key: row for row in _BUCKETS.objects(first=first, second=second, third=third)}
    waits = {key: rules[key].wait(row, now) for key, row in rows.items()}
    longest = max(waits, key=lambda key: waits[key], default="")
    if longest and waits[longest] > 0:
        return longest, waits[longest]
    fresh = [TryCount(key=key, at=now) for key in charged if key not in rows]
    present = [rows[key] for key in charged if key in rows]
    for row in (*fresh, *present):
        charged[row.key].charge(row, now)
    for row in present:
        _CHARGE.run(key=row.key, level=row.level, at=row.at, open_at=row.open_at, gone_at=row.gone_at)
    if fresh:
        sql.add_all(fresh)
    return None


def _tell(key: str, name: str, address: str | None) -> None:
    now = clock.now().timestamp()
    if not TryCount.objects.filter(key=key, told_at__lt=now - TOLD_EVERY).update(told_at=now):
        return
    record(
        "user.sign-in-throttled",
        actor=Actor(user=None, name="anonymous", address=address),
        severity="warning",
        message=N_("Too many tries to sign in, at last as “%(name)s”: they have to wait now"),
        name=shown_name(name),
    )


def shown_name(name: str, longest: int = 150) -> str:
    """A name as typed, for a record: short, and without what moves a reader's cursor or a database cannot take."""
    return "".join(character if character.isprintable() else "\ufffd" for character in name[:longest])


def _folded(name: str) -> str:
    """Names that a directory may take for the same one are the same: case, accents, spaces, unseen characters."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold())
    return " ".join("".join(one for one in plain if unicodedata.category(one) not in _IGNORED).split())


def _places(folded: str, address: str | None, device: str) -> list[str]:
    keys = [_key("place", folded, f"network {network_of(address)}")]
    return [*keys, _key("place", folded, f"device {device}")] if device else keys


def _key(*parts: str) -> str:
    return salted_hmac("berth.sign-in", "\0".join(parts), algorithm="sha256").hexdigest()
