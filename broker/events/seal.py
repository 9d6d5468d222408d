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
    digest = ""
    sealed = Event.objects.exclude(position=None).order_by("position").iterator()
    for expected, event in enumerate(sealed, start=1):
        digest = _digest(digest, event)
        if event.position != expected or event.digest != digest:
            return event
    return None


def _digest(before: str, event: Event) -> str:
    content = json.dumps([before, event.sealed_content()], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()
