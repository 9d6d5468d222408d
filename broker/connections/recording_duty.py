"""Duty: delete recordings whose time is over, end those whose gateway is gone, remove files that belong to none."""

import time
from datetime import timedelta
from uuid import UUID

from broker.access.actor import Actor
from broker.core import clock
from broker.settings import env

from .actions.delete_recording import delete_recording
from .actions.end_recording import end_recording
from .models import Recording, Session
from .recording.files import directory, path_of

BATCH = 200
SETTLED = timedelta(minutes=2)
"""A gateway that lives has told of the end by then."""
ORPHAN = 24 * 3600.0
"""Seconds since a file without a row was last written, before it goes."""


def tidy() -> int:
    """One pass; returns how many recordings were deleted."""
    actor = Actor.system("connections.recordings")
    now = clock.now()
    _end_lost(actor, now - SETTLED)
    old = Recording.objects.filter(ended_at__lt=now - timedelta(days=env.recordings_days)).select_related("vm")
    deleted = 0
    for recording in list(old[:BATCH]):
        delete_recording(actor=actor, recording=recording)
        deleted += 1
    _remove_orphans()
    return deleted


def _end_lost(actor: Actor, before: object) -> None:
    """Those that go on though their session has been over for a while."""
    going_on = Recording.objects.filter(ended_at__isnull=True, began_at__lt=before)
    busy = Session.objects.filter(closed_at__isnull=True) | Session.objects.filter(closed_at__gte=before)
    for pk in list(going_on.exclude(session__in=busy.values("pk")).values_list("pk", flat=True)[:BATCH]):
        try:
            size = path_of(pk).stat().st_size
        except OSError:
            size = 0
        end_recording(actor=actor, recording=pk, why=Recording.Why.LOST, size=size)


def _remove_orphans() -> None:
    found = {}
    for path in directory().glob("*.rec"):
        try:
            found[UUID(path.stem)] = path
        except ValueError:
            continue
    known = set(Recording.objects.values_list("pk", flat=True)) if found else set()
    for pk in found.keys() - known:
        path = found[pk]
        if time.time() - path.stat().st_mtime > ORPHAN:
            path.unlink(missing_ok=True)
