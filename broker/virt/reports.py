"""What agents report: signs of life of their host, of leases they looked at, of hosts they reach; and their orders.

A report proves by its code that it is the agent's (agent/wire.py), and by its number that it is new. What an agent says
of other hosts counts only for hosts of its own cluster, and only where it could not be known better by themselves.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from broker.core.errors import Denied, Invalid
from broker.core.sealing import CannotOpen, Sealer
from broker.core.text import gettext_noop as N_
from broker.events.record import record

from . import host_checks
from .agent import wire
from .agent.config import VERSION
from .ha import moments, signs
from .ha.judge import AGENT, LEASE, PEER
from .ha.rules import HaRules
from .migrating.reach import address
from .models import Host, HostAgent, HostSign, StorageDomain
from .pki.renewal import AGENTS, renewal
from .states import StorageState

_SEALER = Sealer("host agent secret")

BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
KNOWS_LUNS = 3
"""The first version of agents that keep leases on LUNs."""
MOST_SERIAL = 2 * 10**17  # as microseconds it is still a date


def sealed(secret: str) -> str:
    """For the row's `secret`."""
    return _SEALER.seal(secret)


def take(body: bytes, code: str) -> tuple[bytes, str]:
    """Take a report in; returns the answer with its code. Raises Denied for one that proves nothing, or Invalid."""
    given = _read(body)
    agent = _agent(given.get("host"))
    secret = _opened(agent) if agent else ""
    if agent is None or not secret or not wire.fits(secret, "report", body, code):
        raise Denied(
            N_("This is not a report of a host known here."), rule="agent.code", fix=N_("Enrol the host anew.")
        )
    count = given.get("count")
    if not isinstance(count, int) or isinstance(count, bool) or not 0 < count < 2**63:
        raise Invalid(
            N_("A report needs a number."), field="count", fix=N_("Install the agent of this version of Berth.")
        )
    with transaction.atomic():
        now = moments.now()
        if not HostAgent.objects.filter(pk=agent.pk, count__lt=count).update(count=count, seen_at=now):
            raise Denied(N_("This report was given before."), rule="agent.count", fix=N_("Check the host's clock."))
        _note(agent.host, given, count, now)
        _tell_late(agent, given)
        HostAgent.objects.filter(pk=agent.pk).update(told=_kept(given))
        renewed = renewal(agent.host, given)
    told = orders(agent.host, version=given.get("version"))
    answer = wire.packed({"count": count, "now": now.timestamp(), **told, **renewed})
    return answer, wire.code(secret, "report answer", answer)


def orders(host: Host, *, version: object = VERSION) -> dict[str, Any]:
    """What an agent of this version is to do: hold these leases, greet these hosts, stop its guests after so long."""
    storages = list(_shared(host))
    if not isinstance(version, int) or version < KNOWS_LUNS:
        storages = [one for one in storages if one.kind != StorageDomain.Kind.ISCSI]
    others = Host.objects.filter(cluster=host.cluster_id, agent__isnull=False).exclude(pk=host.pk)
    return {
        "leases": {str(one.pk): one.path for one in storages},
        "mounts": [str(one.pk) for one in storages if one.kind == StorageDomain.Kind.NFS],
        "peers": {str(one.pk): found for one in others if (found := address(one))},
        "stop_after": max(HaRules.of(host.cluster.ha).lease_seconds * 4 // 9, 3),
    }


def _shared(host: Host) -> Any:
    """The storages with leases."""
    return StorageDomain.objects.filter(cluster=host.cluster_id, host__isnull=True, state=StorageState.ACTIVE)


def _read(body: bytes) -> dict[str, Any]:
    try:
        given = json.loads(body)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Invalid(N_("This is no report."), field="body", fix=N_("Install the agent of this version of Berth."))
    return given


def _agent(name: object) -> HostAgent | None:
    try:
        return HostAgent.objects.select_related("host__cluster").filter(pk=UUID(str(name))).first()
    except ValueError:
        return None


def _opened(agent: HostAgent) -> str:
    try:
        return _SEALER.open(agent.secret)
    except CannotOpen:
        return ""


def _note(host: Host, given: Mapping[str, Any], count: int, now: datetime) -> None:
    signs.note(host, AGENT, BEGIN + timedelta(microseconds=count // 1000))
    known = {str(one.pk): one for one in Host.objects.filter(cluster=host.cluster_id)}
    for name in _strings(given.get("peers")):
        if name in known and name != str(host.pk):
            signs.note(known[name], PEER, now, by=host.name)
    storages = {str(pk) for pk in _shared(host).values_list("pk", flat=True)}
    # A lease on a storage that is no longer in use is no longer held: it must not count as over.
    HostSign.objects.filter(host__in=known.values(), source=LEASE).exclude(by__in=storages).delete()
    looked = _dict(given.get("looked"))
    for storage, seen in _dict(given.get("leases")).items():
        age = _seconds(looked.get(storage))
        if storage not in storages or age is None:
            continue
        for name, value in _dict(seen).items():
            serial, promise = _lease(value)
            if name in known and name != str(host.pk) and serial is not None:
                signs.looked(
                    known[name], BEGIN + timedelta(microseconds=serial), by=storage,
                    looked_at=now - timedelta(seconds=age), promise=promise,
                )  # fmt: skip


def _tell_late(agent: HostAgent, given: Mapping[str, Any]) -> None:
    """An event when a lease ran out on a host, and when it is held again."""
    late, was = bool(_strings(given.get("late"))), bool(agent.told.get("late"))
    if late == was:
        return
    record(
        "host.lease-lost" if late else "host.lease-held", actor=AGENTS, subject=agent.host, name=agent.host.name,
        severity="error" if late else "info",
        message=N_("%(name)s lost its lease on storage and stopped the machines there") if late
        else N_("%(name)s holds its lease on storage again"),
    )  # fmt: skip


def _kept(given: Mapping[str, Any]) -> dict[str, Any]:
    """Of a report what the host's page shows."""
    own = {str(key)[:64]: str(value)[:16] for key, value in list(_dict(given.get("own")).items())[:64]}
    guests = given.get("guests")
    return {
        "version": str(given.get("version"))[:16],
        "own": own,
        "late": [name[:64] for name in _strings(given.get("late"))[:64]],
        "guests": guests if isinstance(guests, int) else 0,
        "watchdog": given.get("watchdog") is True,
        "checks": host_checks.kept(given.get("checks")),
        "stop_after": _seconds(given.get("stop_after")) or 0.0,
    }


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _seconds(value: object) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good and 0 <= value < 10**6 else None  # type: ignore[arg-type,operator]


def _lease(value: object) -> tuple[int | None, float]:
    """The serial and the promise of a lease as it was reported."""
    if not isinstance(value, list) or len(value) != 2:
        return None, 0.0
    serial, promise = value
    good = isinstance(serial, int) and not isinstance(serial, bool) and 0 < serial < MOST_SERIAL
    return (serial if good else None), (_seconds(promise) or 0.0)
