"""What a host is, written to its row: identity, hardware, and whether it can be reached."""

import threading
from dataclasses import asdict
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import CharField, Q

from broker.core import clock
from broker.core.errors import BerthError, Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.sql import Given, Statement, get, time
from broker.virt import autostart
from broker.virt.cpu_pinning import written
from broker.virt.driver import HostConnection, HostFacts, HostUnreachable, StorageInfo
from broker.virt.models import Host, StorageDomain
from broker.virt.states import HostState

from . import attachments
from .surprise import MONITOR

CAPACITY_EVERY = timedelta(seconds=60)


def identify(host: Host, facts: HostFacts) -> None:
    """Raise Conflict when another hypervisor than before answers, or one that has a row already."""
    if host.observed_uuid and host.observed_uuid != facts.uuid:
        raise Conflict(
            N_("Another hypervisor answers at the address of %(name)s: %(found)s instead of %(expected)s."),
            rule="host.identity",
            fix=N_("Correct the address, or remove the host and add it again."),
            name=host.name,
            found=facts.uuid,
            expected=host.observed_uuid,
        )
    for (twin,) in _TWIN.rows(found=facts.uuid, pk=host.pk):
        raise Conflict(
            N_("%(name)s and %(twin)s are the same hypervisor (%(found)s)."),
            rule="host.identity",
            fix=N_("Remove one of the two, or give each hypervisor a host UUID of its own."),
            name=host.name,
            twin=twin,
            found=facts.uuid,
        )


_TWIN = Statement(
    lambda: (
        Host.objects.filter(observed_uuid=Given("found", CharField()))
        .exclude(pk=Given("pk"))
        .order_by("name")
        .values_list("name")[:1]
    )
)


def write(host: Host, facts: HostFacts) -> None:
    """Put `facts` into the row where they differ, and call the host reachable."""
    row = get(Host, host.pk)
    identify(row, facts)
    wanted = {
        "observed_uuid": facts.uuid[:36],
        "hostname": facts.hostname[:255],
        "hypervisor": facts.hypervisor[:64],
        "manager": facts.manager[:64],
        "cpus": facts.cpus,
        "cpu_model": facts.cpu_model[:128],
        "memory_bytes": facts.memory,
        "memory_free_bytes": facts.memory_free,
        "emulated": facts.emulated,
        "emulated_reason": facts.emulated_reason[:255],
        "graphics": sorted(facts.graphics),
        "cpu_models": sorted(facts.cpu_models),
        "nodes": [
            {
                "number": node.number,
                "cpus": written(node.cpus),
                "memory_bytes": node.memory,
                "pages": [asdict(pages) for pages in node.pages],
            }
            for node in facts.nodes
        ],
        "ticked_seconds": facts.ticked_seconds,
        "error": "",
    }
    before, now, moment = row.ticked_seconds, facts.ticked_seconds, clock.now()
    if before is not None and now is not None and now < before:
        wanted["rebooted_at"] = moment
    changed = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    if not changed:
        return
    with transaction.atomic():
        Host.objects.filter(pk=host.pk).update(**changed)
        if "error" in changed:
            record(
                "host.reachable", actor=MONITOR, subject=row, message=N_("%(name)s can be reached again"), name=row.name
            )
        if "rebooted_at" in changed:
            autostart.note(row, moment)
            by_us = row.state == HostState.ASLEEP
            record(
                "host.rebooted", actor=MONITOR, subject=row, severity="info" if by_us else "warning", name=row.name,
                message=N_("%(name)s was rebooted"),
            )  # fmt: skip
        publish("host", host.pk, "changed")


def unreachable(host: Host, error: BerthError) -> None:
    """Say on the row why nothing is heard of the host; an event tells of the first time only."""
    text = str(error)
    with transaction.atomic():
        row = Host.objects.select_for_update().filter(pk=host.pk).first()
        if row is None or row.error == text:
            return
        if not row.error and row.state != HostState.ASLEEP:
            record(
                "host.unreachable",
                actor=MONITOR,
                subject=row,
                severity="error",
                message=N_("%(name)s cannot be looked after: %(cause)s"),
                name=row.name,
                cause=error.message,
                explanation=error.as_dict(),
            )
        Host.objects.filter(pk=host.pk).update(error=text)
        publish("host", host.pk, "changed")


def measure_storage(host: Host, connection: HostConnection) -> None:
    """Write the capacity of those of the cluster's storages that no host has told of for a minute."""
    now = clock.now()
    due = Q(observed_at__isnull=True) | Q(observed_at__lt=now - CAPACITY_EVERY)
    for storage in _STORAGE_DUE.objects(before=now - CAPACITY_EVERY, host=host.pk, cluster=host.cluster_id):
        # Claimed first, so that the hosts of a cluster share the asking and a failure is not repeated at once.
        if not StorageDomain.objects.filter(due, pk=storage.pk).update(observed_at=now):
            continue
        try:
            info = attachments.look_at(storage, connection)
        except HostUnreachable:
            raise
        except BerthError as error:
            if storage.host_id is None:
                attachments.tell(host, storage, str(error))
            if not attachments.seen_elsewhere(host, storage):
                _storage_told(storage, error)
            continue
        if not info or (storage.capacity_bytes, storage.available_bytes, storage.error) == (
            info.capacity, info.available, ""
        ):  # fmt: skip
            continue
        with transaction.atomic():
            StorageDomain.objects.filter(pk=storage.pk).update(
                capacity_bytes=info.capacity, available_bytes=info.available, error=""
            )
            _tell_level(storage, info)
            if storage.error:
                record("storage.reachable", actor=MONITOR, subject=storage,
                       message=N_("%(name)s can be reached again"), name=storage.name)  # fmt: skip
            publish("storage", storage.pk, "changed")


class StorageDue:
    """For which hosts some storage is due, read once a second for all hosts of a monitor."""

    FRESH = 1.0

    def __init__(self) -> None:
        self._lock, self._read_at = threading.Lock(), float("-inf")
        self._due: set[tuple[UUID, UUID | None]] = set()

    def of(self, host: Host) -> bool:
        with self._lock:
            if clock.steady() - self._read_at >= self.FRESH:
                self._due = set(_STORAGE_DUE_FOR.rows(before=clock.now() - CAPACITY_EVERY))
                self._read_at = clock.steady()
            return (host.cluster_id, None) in self._due or (host.cluster_id, host.pk) in self._due


_STORAGE_DUE_FOR = Statement(
    lambda: (
        StorageDomain.objects.filter(Q(observed_at__isnull=True) | Q(observed_at__lt=time("before")))
        .order_by()
        .values_list("cluster", "host")
        .distinct()
    )
)
_STORAGE_DUE = Statement(
    lambda: StorageDomain.objects.filter(
        Q(observed_at__isnull=True) | Q(observed_at__lt=time("before")),
        Q(host__isnull=True) | Q(host=Given("host")),
        cluster=Given("cluster"),
    ).order_by("pk")
)


def _tell_level(storage: StorageDomain, info: StorageInfo) -> None:
    """An event when the storage has got fuller or emptier by a level."""
    before = storage.level
    now = StorageDomain(
        capacity_bytes=info.capacity, available_bytes=info.available, warning_percent=storage.warning_percent,
        critical_percent=storage.critical_percent,
    ).level  # fmt: skip
    if now == before:
        return
    severity, text = {
        "ok": ("info", N_("%(name)s has room again")),
        "warning": ("warning", N_("%(name)s is nearly full: %(free)s MiB are free")),
        "critical": ("error", N_("%(name)s is full: %(free)s MiB are free, and nothing new is put on it")),
    }[now]
    record("storage.level", actor=MONITOR, subject=storage, severity=severity, message=text, name=storage.name,
           free=info.available >> 20, level=now)  # fmt: skip


def _storage_told(storage: StorageDomain, error: BerthError) -> None:
    """Say on the row why a host that answers does not reach the storage; an event tells of the first time only."""
    text = str(error)
    if storage.error == text:
        return
    with transaction.atomic():
        StorageDomain.objects.filter(pk=storage.pk).update(error=text)
        if not storage.error:
            record(
                "storage.unreachable", actor=MONITOR, subject=storage, severity="error",
                message=N_("%(name)s cannot be reached: %(cause)s"), name=storage.name, cause=error.message,
                explanation=error.as_dict(),
            )  # fmt: skip
        publish("storage", storage.pk, "changed")
