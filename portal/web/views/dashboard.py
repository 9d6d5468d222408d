"""The overview of the management pages: what there is, what runs, what is wrong."""

from collections.abc import Sequence
from typing import Any

from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.connections.queries import visible_sessions
from broker.events.models import Event
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.models import Host, VirtualMachine
from pools.models import Pool
from portal.templatetags.berth import share
from portal.web.base import Page
from portal.web.parts import RECENT, Figure, Happening, Notice, happening, progress_of
from portal.why import Sight

MOST_SHOWN = 12


class Dashboard(Page):
    template = "portal/manage/dashboard.html"

    def content(self) -> dict[str, Any]:
        hosts = list(visible_to(self.actor, Host)[:MOST_SHOWN])
        pools = list(
            visible_to(self.actor, Pool).annotate(assigned=Count("desktops", filter=Q(desktops__state="assigned")))[
                :MOST_SHOWN
            ]
        )
        jobs = list(visible_to(self.actor, Job).filter(state__in=ACTIVE)[:MOST_SHOWN])
        return {
            "figures": self._figures(hosts),
            "notices": _notices(self.actor, hosts, pools),
            "pools": [
                {
                    "url": reverse("portal:pool", args=[pool.pk]),
                    "title": str(pool),
                    "assigned": pool.assigned,
                    "size": pool.size,
                }
                for pool in pools
            ],
            "hosts": [
                {
                    "url": reverse("portal:host", args=[host.pk]),
                    "name": host.name,
                    "error": host.trouble,
                    "memory_percent": share(host.memory_bytes - host.memory_free_bytes, host.memory_bytes),
                }
                for host in hosts
            ],
            "jobs": [{"progress": progress_of(job)} for job in jobs],
            "events": _happenings(self.actor),
        }

    def _figures(self, hosts: list[Host]) -> list[Figure]:
        vms = visible_to(self.actor, VirtualMachine).aggregate(
            all=Count("pk", distinct=True), running=Count("pk", filter=Q(power_state="running"), distinct=True)
        )
        sessions = visible_sessions(self.actor).filter(state="open").count()
        jobs = visible_to(self.actor, Job).filter(state__in=ACTIVE).count()
        up = sum(not host.error and host.state == "active" for host in hosts)
        return [
            Figure(
                _("Machines"), vms["all"], _("%(count)d running") % {"count": vms["running"]}, reverse("portal:vms")
            ),
            Figure(_("Open consoles"), sessions, _("people at a screen now")),
            Figure(
                _("Hosts up"),
                _("%(up)d of %(all)d") % {"up": up, "all": len(hosts)},
                ngettext("%(count)d emulates guests", "%(count)d emulate guests", _emulated(hosts))
                % {"count": _emulated(hosts)},
                reverse("portal:hosts"),
            ),
            Figure(_("Jobs under way"), jobs, _("waiting or running"), reverse("portal:jobs")),
        ]


def _emulated(hosts: list[Host]) -> int:
    return sum(host.emulated for host in hosts)


def _notices(actor: Actor, hosts: Sequence[Host], pools: Sequence[Pool]) -> list[Notice]:
    notices = [
        Notice(_("%(host)s cannot be reached: %(error)s") % {"host": host.name, "error": host.trouble}, tone="bad")
        for host in hosts
        if host.trouble
    ]
    sight = Sight(actor, [pool.alert for pool in pools])
    for pool in pools:
        cause, fix = sight.sentences(pool.alert)
        if cause:
            text = _("%(pool)s: %(cause)s") % {"pool": pool, "cause": cause}
            notices.append(Notice(text, fix, why=sight.why(pool.alert)))
    return notices


def _happenings(actor: Actor) -> list[Happening]:
    sight = Sight(actor, ())
    return [happening(event, named=True, sight=sight) for event in visible_to(actor, Event)[:RECENT]]
