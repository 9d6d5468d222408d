"""What oneself did, and what became of the desktops one has: newest first, with what is under way above."""

from typing import Any

from django.db.models import Q
from django.urls import reverse

from broker.events.models import Event
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from pools.models import Desktop
from portal.web.base import Page
from portal.web.parts import happening, progress_of
from portal.why import Sight

SHOWN = 50
REFUSED = ("portal.refused", "api.refused")
"""Told at the door there and then, and in the words of addresses."""


class Activity(Page):
    """With ?before=<id> what was before that."""

    template = "portal/activity.html"

    def content(self) -> dict[str, Any]:
        held = list(Desktop.objects.filter(holder=self.actor.user_id).values_list("pk", flat=True))
        rows = Event.objects.exclude(kind__in=REFUSED)
        before = self.request.GET.get("before", "")
        if before.isdecimal() and len(before) < 19:
            rows = rows.filter(pk__lt=int(before))
        # Two short reads that indexes answer, where one with "or" would walk through the events of all.
        mine = rows.filter(actor=self.actor.user_id)[: SHOWN + 1]
        of_mine = rows.filter(subject_kind="vm", subject_id__in=held, actor=None)[: SHOWN + 1] if held else ()
        found = sorted({event.pk: event for event in (*mine, *of_mine)}.values(), key=lambda event: -event.pk)
        sight = Sight(self.actor, ())
        jobs = Job.objects.filter(
            Q(actor_id=self.actor.user_id) | Q(subject_kind="vm", subject_id__in=held), state__in=sorted(ACTIVE)
        )
        older = f"{reverse('portal:activity')}?before={found[SHOWN - 1].pk}" if len(found) > SHOWN else ""
        return {
            "events": [happening(event, named=True, sight=sight) for event in found[:SHOWN]],
            "jobs": [{"name": job.subject_name, "progress": progress_of(job)} for job in jobs[:SHOWN]],
            "older": older,
            "later": bool(before),
        }
