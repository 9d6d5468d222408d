"""Write down that somebody has the first picture. How long they waited for what is looked up afterwards, by the duty:

neither the way a user takes in the morning nor the gateway has to do more for it than this one row.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session as WebSession

from .models import Session, SessionTiming

SIGNED_IN = "signed_in"
"""Key in the web session: [when the request to sign in came (ISO 8601), how many seconds it took]."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a gateway saw: the session's cookie, and the seconds from its knock to the first picture."""

    web_session: str
    seconds: float


def note_pictures(pictures: Mapping[UUID, Picture]) -> int:
    """Write these first pictures, by session; returns how many. Doubles are passed over.

    Only of people at screens of their own. Three queries, however many there are.
    """
    rows = Session.objects.filter(pk__in=pictures.keys(), purpose=Session.Purpose.OWN, timing=None)
    sessions = list(rows.only("user_id", "vm_id", "boot_id", "opened_at"))
    if not sessions:
        return 0
    signed_in = _sign_ins(one.web_session for one in pictures.values())
    timings = []
    for session in sessions:
        picture = pictures[session.pk]
        asked, took = signed_in.get(picture.web_session, (None, 0.0))
        timings.append(
            SessionTiming(
                session=session,
                user_id=session.user_id,
                vm_id=session.vm_id,
                boot_id=session.boot_id,
                began_at=session.opened_at,
                at=session.opened_at + timedelta(seconds=picture.seconds),
                signed_in_at=asked,
                sign_in=round(took * 1000) if asked else None,
                picture=round(picture.seconds * 1000),
                open=True,
            )
        )
    return len(SessionTiming.objects.bulk_create(timings, ignore_conflicts=True))


def _sign_ins(keys: Iterable[str]) -> dict[str, tuple[datetime, float]]:
    found: dict[str, tuple[datetime, float]] = {}
    for row in WebSession.objects.filter(session_key__in=set(keys)):
        content: dict[str, Any] = SessionStore().decode(row.session_data)
        if told := content.get(SIGNED_IN):
            found[row.session_key] = (datetime.fromisoformat(told[0]), float(told[1]))
    return found
