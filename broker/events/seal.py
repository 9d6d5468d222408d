"""Chain the events: each row's digest covers its content and the digest before it.

A row changed or removed in the database afterwards breaks the chain, and `verify` says where.
"""

import hashlib
import json
from datetime import timedelta

from django.db import transaction

from broker.core import clock

from .models import Event

BATCH = 1000
# Ids are handed out before commits: a younger id may be visible before an older one.
SETTLED = timedelta(seconds=5)


def seal() -> int:
    """Seal what has settled; returns how many rows. One caller at a time (the duty holds a lock)."""
    with transaction.atomic():
        last = Event.objects.exclude(position=None).order_by("-position").first()
        position, digest = (last.position or 0, last.digest) if last else (0, "")
        fresh = list(Event.objects.filter(position=None, at__lt=clock.now() - SETTLED).order_by("id")[:BATCH])
        for event in fresh:
            position += 1
            digest = _digest(digest, event)
            event.position, event.digest = position, digest
        Event.objects.bulk_update(fresh, ["position", "digest"])
    return len(fresh)


def verify() -> Event | None:
    """The first event that does not fit the chain, or None when all is well."""
    return follow(0, "", None)[2]


def follow(position: int, digest: str, most: int | None) -> tuple[int, str, Event | None]:
    """Go on from a position, over so many events at most: how far they fit, and the one that does not."""
    sealed = Event.objects.filter(position__gt=position).order_by("position")[:most]
    for event in sealed.iterator():
        following = _digest(digest, event)
        if event.position != position + 1 or event.digest != following:
            return position, digest, event
        position, digest = position + 1, following
    return position, digest, None


def _digest(before: str, event: Event) -> str:
    content = json.dumps([before, event.sealed_content()], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()
