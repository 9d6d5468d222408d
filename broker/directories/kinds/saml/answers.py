"""Answers of providers that were received: each counts once, in whichever of several web processes it comes back.

A row is known by a digest of the assertion's id and stays until the assertion is over, so that the same is not taken a
second time. What it says of the person is in it, sealed, until the browser has come back for it, two minutes at most.
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from django.db import IntegrityError, transaction

from broker.core import clock
from broker.core.sealing import CannotOpen, Sealer
from broker.directories.found import GroupFound, Person
from broker.directories.models import Directory, ProviderAnswer

from .assertion import LEEWAY, Said

LONGEST_WAY = timedelta(minutes=2)
_SEALER = Sealer("what a provider says of somebody")


@dataclass(frozen=True)
class Answer:
    request: str
    back: str
    person: Person
    groups: Sequence[GroupFound]


def keep(directory: Directory, issuer: str, told: Said, person: Person, groups: Sequence[GroupFound]) -> str | None:
    """A ticket by which take() finds it; None when the same assertion was here before."""
    ticket = secrets.token_urlsafe(24)
    words = {"request": told.request, "back": told.back, "person": asdict(person), "groups": [g.id for g in groups]}
    row = ProviderAnswer(
        key=_digest(str(directory.pk), issuer, told.id),
        ticket=_digest(ticket),
        directory=directory,
        at=clock.now(),
        until=datetime.fromtimestamp(told.until + LEEWAY, UTC),
        told=_SEALER.seal(json.dumps(words)),
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return None
    return ticket


def take(directory: Directory, ticket: str) -> Answer | None:
    """What was kept for the ticket, once; None for one that is none, was used, or is too old."""
    found = ProviderAnswer.objects.filter(
        ticket=_digest(ticket), directory=directory, at__gt=clock.now() - LONGEST_WAY
    ).exclude(told="")
    row = found.first()
    if row is None or not ProviderAnswer.objects.filter(pk=row.pk).exclude(told="").update(told=""):
        return None
    try:
        words = json.loads(_SEALER.open(row.told))
    except CannotOpen:
        return None
    groups = [GroupFound(name, name) for name in words["groups"]]
    return Answer(words["request"], words["back"], Person(**words["person"]), groups)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
