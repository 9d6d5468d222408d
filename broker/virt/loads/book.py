"""What a host and its machines did in a minute, gathered from the passes of its watcher and written when it is over.

One statement for 200 machines a minute. Whoever watches the host has the readings already; when watchers change within
a minute, the second one's part of it is what stays.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from broker import sql
from broker.core import clock
from broker.virt.driver import HostFacts
from broker.virt.history import Reading
from broker.virt.models import Host, HostLoad, MachineLoad, VirtualMachine
from broker.virt.models.load import FIGURES, Load, Span

from .slots import begin, slot

log = logging.getLogger(__name__)
KEY = ("owner", "span", "slot")
Figures = tuple[int | None, ...]  # one for each metric


class Book:
    """The minutes of one host. Call `note` with every full pass."""

    def __init__(self, host_id: UUID):
        self._host_id = host_id
        self._facts: HostFacts | None = None
        self._minute: datetime | None = None
        self._machines: dict[UUID, list[Figures]] = {}
        self._host: list[Figures] = []

    def learn(self, facts: HostFacts) -> HostFacts:
        """What the host is and has free, for its own figures."""
        self._facts = facts
        return facts

    def note(self, readings: Sequence[Reading], ours: Iterable[UUID], *, idle: bool) -> None:
        """Take what was read in one pass; `idle`: nothing runs there, so that no reading means none, not unknown."""
        minute = begin(Span.MINUTE, clock.now())
        if minute != self._minute:
            self._close()
            self._minute = minute
        known = set(ours)
        for one in readings:
            if one.vm_id in known and one.tells:
                self._machines.setdefault(one.vm_id, []).append(_figures(one))
        if self._facts and (readings or idle):
            self._host.append(_of_host(readings, self._facts))

    def _close(self) -> None:
        machines, host, minute = self._machines, self._host, self._minute
        self._machines, self._host = {}, []
        if minute is None:
            return
        if machines:
            write_machines(minute, machines)
        if host and Host.objects.filter(pk=self._host_id).exists():
            put([_row(HostLoad, self._host_id, minute, host)])


def write_machines(minute: datetime, figures: dict[UUID, list[Figures]]) -> None:
    """Write what these machines did in a minute; those that are gone meanwhile are left out."""
    there = set(VirtualMachine.objects.filter(pk__in=list(figures)).values_list("pk", flat=True))
    put([_row(MachineLoad, pk, minute, several) for pk, several in figures.items() if pk in there])


def put(rows: Sequence[Load]) -> None:
    """Write rows over what is in their slots."""
    for start in range(0, len(rows), sql.ROWS_AT_ONCE):
        try:
            with transaction.atomic():
                sql.put(rows[start : start + sql.ROWS_AT_ONCE], KEY)
        except IntegrityError as error:  # a machine was removed this moment
            log.info("A part of the load was not kept: %s", error)


def _row(model: type[Load], owner: UUID, minute: datetime, several: list[Figures]) -> Load:
    values: list[int | None] = []
    for column in zip(*several, strict=True):
        told = [value for value in column if value is not None]
        values += (round(sum(told) / len(told)), max(told)) if told else (None, None)
    named: dict[str, Any] = {"owner_id": owner, **dict(zip(FIGURES, values, strict=True))}
    return model(span=Span.MINUTE, slot=slot(Span.MINUTE, minute), at=minute, **named)


def _figures(one: Reading) -> Figures:
    return (
        one.cpu_percent, one.memory_used, one.disk_read, one.disk_written, one.net_received, one.net_sent,
    )  # fmt: skip


def _of_host(readings: Sequence[Reading], facts: HostFacts) -> Figures:
    def total(values: Iterable[float | None]) -> int:
        return round(sum(value for value in values if value is not None))

    return (
        min(round(100 * sum(one.cpus or 0 for one in readings) / max(facts.cpus, 1)), 100),
        max(facts.memory - facts.memory_free, 0),
        total(one.disk_read for one in readings),
        total(one.disk_written for one in readings),
        total(one.net_received for one in readings),
        total(one.net_sent for one in readings),
    )
