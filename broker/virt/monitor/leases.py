"""Which monitor looks after which host: leases on the host rows, shared out evenly among the monitors there are."""

import os
import socket
import uuid
from datetime import timedelta
from uuid import UUID

from django.db.models import CharField, Q

from broker.core import clock
from broker.sql import Given, Statement, given, time, written
from broker.virt.models import Host, MonitorProcess

LEASE_SECONDS = 15.0
RENEW_SECONDS = 5.0


def monitor_name() -> str:
    """A name no other monitor has, that still tells where this one runs."""
    return f"{socket.gethostname()[:80]}:{os.getpid()}:{uuid.uuid4().hex[:8]}"


def share(name: str) -> dict[UUID, Host]:
    """Renew, take and give back leases; returns the hosts that are `name`'s until LEASE_SECONDS from now.

    A monitor that has more than its share gives back what is over, so that a new one gets hosts within two
    rounds; one that died loses its hosts when their leases run out.
    """
    now = clock.now()
    until = now + timedelta(seconds=LEASE_SECONDS)
    if not _SEEN.run(name=name, seen_at=now):
        MonitorProcess.objects.update_or_create(name=name, defaults={"seen_at": now})
    monitors = len(_OTHERS.rows(since=now - timedelta(seconds=LEASE_SECONDS)))
    rows = _ALL.rows()
    fair = -(-len(rows) // max(monitors, 1))
    held = [pk for pk, monitor, end in rows if monitor == name and end is not None and end > now]
    for pk in held[fair:]:
        _release(name, pk)
    _RENEW.run(name=name, now=now, monitor_until=until)
    free = Q(monitor_until__isnull=True) | Q(monitor_until__lte=now)
    for pk in [pk for pk, _, end in rows if end is None or end <= now][: max(fair - len(held), 0)]:
        # Compare-and-swap: of two monitors that saw it free, one gets it.
        Host.objects.filter(free, pk=pk).update(monitor=name, monitor_until=until)
    return {host.pk: host for host in _OURS.objects(name=name, now=now)}


_NAME = Given("name", CharField())
_SEEN = Statement(lambda: written(MonitorProcess).filter(name=_NAME).update(**given(MonitorProcess, "seen_at")))
_OTHERS = Statement(lambda: MonitorProcess.objects.filter(seen_at__gt=time("since")).order_by().values_list("name"))
_ALL = Statement(lambda: Host.objects.order_by("pk").values_list("pk", "monitor", "monitor_until"))
_RENEW = Statement(
    lambda: written(Host).filter(monitor=_NAME, monitor_until__gt=time("now")).update(**given(Host, "monitor_until"))
)
_OURS = Statement(lambda: Host.objects.filter(monitor=_NAME, monitor_until__gt=time("now")))


def leave(name: str) -> None:
    """Give everything back at once: the others need not wait for the leases to run out."""
    for pk in Host.objects.filter(monitor=name).values_list("pk", flat=True):
        _release(name, pk)
    MonitorProcess.objects.filter(name=name).delete()


def _release(name: str, pk: UUID) -> None:
    Host.objects.filter(pk=pk, monitor=name).update(monitor="", monitor_until=None)
