"""The duty that keeps the notes on storages true, and reads those of a storage that is new here."""

import logging
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.events.models import Event
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.sql import Statement

from . import hosts, specs, storage_notes
from .driver import HostConnection
from .models import Host, StorageAttachment, StorageDomain
from .states import HostState, StorageState

log = logging.getLogger(__name__)
DUTY = Actor.system("virt.storage-notes")
COMPARE_EVERY, TRY_EVERY = 1800.0, 300.0
"""Seconds between two comparisons where nothing happened, and where something could not be written."""
TAKEN = "taken"
"""`noted` of a storage that was taken over: another Berth's notes on it are overwritten once."""


class _Watch:
    """When the notes were compared last, and what was there then."""

    mark: Any = None
    until = 0.0


def watch() -> None:
    """The duty: `keep_notes` when something has happened since, or now and then.

    What changes a machine is an action, of which an event tells, or a job; only a storage that is another's changes
    by itself. To describe thousands of machines takes a second: too long for every look.
    """
    restless = bool(_AT_WORK.rows() or _HELD.rows())
    mark = restless, _LAST_EVENT.plain(), _STORAGES.plain()
    if not restless and mark == _Watch.mark and clock.steady() < _Watch.until:
        return
    settled = keep_notes()
    _Watch.mark, _Watch.until = mark, clock.steady() + (COMPARE_EVERY if settled else TRY_EVERY)


_AT_WORK = Statement(lambda: Job.objects.filter(state__in=sorted(ACTIVE)).order_by().values_list("pk")[:1])
_LAST_EVENT = Statement(lambda: Event.objects.order_by("-pk").values_list("pk")[:1])
_HELD = Statement(lambda: StorageDomain.objects.exclude(held_by="").order_by().values_list("pk")[:1])
_STORAGES = Statement(lambda: StorageDomain.objects.order_by("pk").values_list("pk", "name", "state", "error", "noted"))


def keep_notes() -> bool:
    """Write the notes of each storage in use whose contents changed since; look whether one is still another's.

    Returns whether nothing was left to write.
    """
    settled = True
    for storage in StorageDomain.objects.filter(state=StorageState.ACTIVE, error=""):
        document = storage_notes.describe(storage)
        if not storage.held_by and storage_notes.digest(document) == storage.noted:
            continue
        settled = False
        host = seeing(storage)
        if host is None:
            continue
        try:
            line = hosts.connection(host)
            line.ensure_storage(specs.storage_spec(storage))
            if storage.held_by:
                look_again(storage, line)
            elif meet(storage, line):
                write(storage, line, document)
        except BerthError as error:
            log.info("Notes on %s: %s", storage.name, error)
    return settled


def seeing(storage: StorageDomain) -> Host | None:
    """A host that sees `storage` and answers."""
    answering = Host.objects.filter(cluster=storage.cluster_id, error="", observed_at__isnull=False)
    if storage.host_id:
        answering = answering.filter(pk=storage.host_id)
    blind = StorageAttachment.objects.filter(storage=storage).exclude(error="").values("host")
    return answering.filter(state=HostState.ACTIVE).exclude(pk__in=blind).first()


def meet(storage: StorageDomain, line: HostConnection) -> bool:
    """Read the notes of a storage; whether it may be used.

    It is done before each change of them: of two Berths that met a blank storage at the same moment, one stays.
    """
    note = storage_notes.newest(line.read_notes(specs.storage_spec(storage)))
    if note is None:
        return True
    foreign = storage_notes.foreign(note.document)
    if storage_notes.held(note.document) and storage.noted != TAKEN:
        with transaction.atomic():
            holder = str(note.document.get("installation"))[:32]
            StorageDomain.objects.filter(pk=storage.pk).update(held_by=holder, found=note.document)
            record("storage.held", actor=DUTY, subject=storage, severity="error",
                   message=N_("%(name)s belongs to another Berth (%(holder)s) and is not used"), name=storage.name,
                   holder=storage_notes.holder(note.document))  # fmt: skip
            publish("storage", storage.pk, "changed")
        return False
    if foreign or not storage.noted:
        StorageDomain.objects.filter(pk=storage.pk).update(found=note.document)
    return True


def look_again(storage: StorageDomain, line: HostConnection) -> None:
    """One that another Berth held is ours when that let it go, with what it noted down last."""
    note = storage_notes.newest(line.read_notes(specs.storage_spec(storage)))
    if note is not None and storage_notes.held(note.document):
        return
    found = note.document if note is not None and storage_notes.foreign(note.document) else {}
    with transaction.atomic():
        if StorageDomain.objects.filter(pk=storage.pk).exclude(held_by="").update(held_by="", noted="", found=found):
            record("storage.let-go", actor=DUTY, subject=storage, name=storage.name,
                   message=N_("%(name)s was let go by the other Berth and can be used"))  # fmt: skip
            publish("storage", storage.pk, "changed")


def write(storage: StorageDomain, line: HostConnection, document: dict[str, Any]) -> None:
    """Note `document` down on the storage, into the slot that is not the newest."""
    spec = specs.storage_spec(storage)
    note = storage_notes.newest(line.read_notes(spec))
    sequence = note.sequence + 1 if note else 1
    line.write_note(spec, sequence % 2, storage_notes.seal(document, sequence))
    StorageDomain.objects.filter(pk=storage.pk).update(noted=storage_notes.digest(document))
    publish("storage", storage.pk, "noted")
