"""Files on a storage that nothing refers to: no row, no job at work, no definition on any host, no other file.

Whoever keeps files on storages without naming the storage in a row's `volume` registers itself.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from django.apps import apps
from django.db import models

from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from .driver import HostConnection, NotFound, VolumeInfo
from .models import StorageDomain

_COLUMNS = ("volume", "below", "memory")
# Their files have their id in the name.
_OWNERS = ("Disk", "DiskExport", "FloatingDisk", "Image", "Snapshot", "TemplateVersion", "VirtualMachine")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_keepers: list[Callable[[StorageDomain], Iterable[str]]] = []


def register_keeper(keeper: Callable[[StorageDomain], Iterable[str]]) -> None:
    """`keeper(storage)` returns the names of the files it keeps there."""
    _keepers.append(keeper)


@dataclass(frozen=True, slots=True)
class Known:
    """What rows, jobs and the storage's own notes refer to on it; `texts` are the latter two."""

    names: frozenset[str]
    owners: frozenset[UUID]
    texts: str

    def refers_to(self, name: str) -> bool:
        return name in self.names or name in self.texts or not _owners(name).isdisjoint(self.owners)


def known(storage: StorageDomain, found: Iterable[str], job: UUID | None = None) -> Known:
    """As the rows are now; `found`: the names in question. `job`: the one that asks, whose own words do not count."""
    names: set[str] = set()
    for relation in StorageDomain._meta.related_objects:
        columns = [field.name for field in relation.related_model._meta.concrete_fields if field.name in _COLUMNS]
        rows = relation.related_model._default_manager.filter(**{relation.field.name: storage})
        for column in columns:
            names |= set(rows.values_list(column, flat=True))
    for keeper in _keepers:
        names |= set(keeper(storage))
    ids = {owner for name in found for owner in _owners(name)}
    owners: set[UUID] = set()
    for model in _OWNERS:
        manager: models.Manager[models.Model] = apps.get_model("virt", model)._default_manager
        owners |= set(manager.filter(pk__in=ids).values_list("pk", flat=True))
    jobs = (
        Job.objects.filter(state__in=sorted(ACTIVE)).exclude(plan="storage.tidy").exclude(pk__in=[job] if job else [])
    )
    active = jobs.values_list("args", "subject_id")
    owners |= {subject for _args, subject in active}
    # What another Berth noted down on it can still be imported here.
    told = [
        *(args for args, _subject in active),
        StorageDomain.objects.values_list("found", flat=True).get(pk=storage.pk),
    ]
    return Known(frozenset(names - {""}), frozenset(owners), json.dumps(told))


def look(
    storage: StorageDomain, volumes: Iterable[VolumeInfo], hosts: Iterable[HostConnection], job: UUID | None = None
) -> list[VolumeInfo]:
    """Those of `volumes` that nothing refers to. `hosts`: lines to all that see the storage. `job`: see `known`."""
    present = list(volumes)
    rows = known(storage, [one.name for one in present], job)
    below = {one.backing for one in present}
    free = [one for one in present if not rows.refers_to(one.name) and one.path not in below]
    if not free:
        return []
    texts = [_definition(line, seen.uuid) for line in hosts for seen in line.observe()]
    return [one for one in free if not any(one.name in text for text in texts)]


def _definition(line: HostConnection, uuid: str) -> str:
    """Empty for a machine that was removed since it was seen."""
    try:
        return line.definition(uuid)
    except NotFound:
        return ""


def _owners(name: str) -> set[UUID]:
    """The ids in a file's name: whose it is or was."""
    return {UUID(found) for found in _ID.findall(name)}
