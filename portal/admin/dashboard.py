"""The admin's first page: how many, how full, and what went wrong lately."""

import json
from datetime import timedelta
from typing import Any

from django.db.models import Count, Q
from django.db.models.functions import TruncHour
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.connections.models import Session
from broker.core import clock
from broker.events.models import Event, Severity
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE, JobState
from broker.virt.driver import PowerState
from broker.virt.models import Host, VirtualMachine
from broker.virt.states import HostState
from pools.models import Desktop
from pools.states import DesktopState
from portal.templatetags.berth import share

HOURS = 24


def context(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """unfold's dashboard callback."""
    hosts = list(Host.objects.all())
    return {
        **context,
        "title": _("Overview"),
        "numbers": _numbers(hosts),
        "sessions": _sessions(),
        "hosts": [
            {"name": host.name, "percent": share(host.memory_bytes - host.memory_free_bytes, host.memory_bytes)}
            for host in hosts[:12]
        ],
        "troubles": Event.objects.exclude(severity=Severity.INFO)[:8],
    }


def _numbers(hosts: list[Host]) -> list[dict[str, str]]:
    vms = VirtualMachine.objects.aggregate(
        all=Count("pk"), running=Count("pk", filter=Q(power_state=PowerState.RUNNING))
    )
    desktops = Desktop.objects.aggregate(
        used=Count("pk", filter=Q(state=DesktopState.ASSIGNED)), free=Count("pk", filter=Q(state=DesktopState.FREE))
    )
    up = sum(not host.error and host.observed_at is not None for host in hosts)
    maintained = sum(host.state == HostState.MAINTENANCE for host in hosts)
    jobs = Job.objects.filter(state__in=ACTIVE).count()
    failed = Job.objects.filter(
        state__in=(JobState.FAILED, JobState.ERRORED), finished_at__gt=clock.now() - timedelta(days=1)
    ).count()
    return [
        {
            "title": _("Machines"),
            "value": str(vms["all"]),
            "footer": _("%(count)d running") % {"count": vms["running"]},
        },
        {
            "title": _("Desktops in use"),
            "value": str(desktops["used"]),
            "footer": _("%(count)d free") % {"count": desktops["free"]},
        },
        {
            "title": _("Hosts up"),
            "value": _("%(up)d of %(all)d") % {"up": up, "all": len(hosts)},
            "footer": _("%(count)d in maintenance") % {"count": maintained},
        },
        {
            "title": _("Jobs under way"),
            "value": str(jobs),
            "footer": ngettext("%(count)d failed in 24 hours", "%(count)d failed in 24 hours", failed)
            % {"count": failed},
        },
    ]


def _sessions() -> str:
    """Consoles opened in each of the last 24 hours, as data for unfold's bar chart."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    hours = [now - timedelta(hours=back) for back in reversed(range(HOURS))]
    rows = Session.objects.filter(opened_at__gte=hours[0]).annotate(hour=TruncHour("opened_at"))
    counts = dict(rows.order_by().values_list("hour").annotate(Count("pk")))
    return json.dumps(
        {
            "labels": [f"{hour:%H}:00" for hour in hours],
            "datasets": [
                {
                    "label": _("Consoles opened"),
                    "data": [counts.get(hour, 0) for hour in hours],
                    "backgroundColor": "var(--color-primary-600)",
                }
            ],
        }
    )
