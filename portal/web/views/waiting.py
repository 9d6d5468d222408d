"""Taking a desktop of a pool, or waiting for one: the page with one's place in the queue."""

from typing import Any

from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from pools.actions.allocate import allocate
from pools.actions.leave_queue import leave_queue
from pools.bringing_up import Allocation
from pools.models import Pool
from pools.queue import Place, places_of
from pools.taking import take_or_wait
from portal.web.base import Deed, Page, done, is_htmx
from portal.web.waiting import waiting_of


class Take(Deed):
    """Connect on a pool's card: take a desktop and go to its screen, or wait for one on a page of its own."""

    def do(self, pk: Any) -> HttpResponse:
        found = take_or_wait(allocate, actor=self.actor, pool=find(self.actor, Pool, pk))
        if isinstance(found, Place):
            return self.go(reverse("portal:pool-wait", args=[found.pool.pk]))
        return self.go(screen_of(found))

    def go(self, address: str) -> HttpResponse:
        if is_htmx(self.request):
            return HttpResponse(status=204, headers={"HX-Redirect": address})
        return HttpResponseRedirect(address)


class Wait(Page):
    """One's place in the queue. Looking at it changes nothing; the page keeps the place by its beat."""

    template = "portal/waiting.html"

    def content(self, pk: Any) -> dict[str, Any]:
        pool = find(self.actor, Pool, pk, "pool.use")
        place = places_of(self.actor.user, [pool.pk]).get(pool.pk) if self.actor.user else None
        return {
            "pool": pool,
            "waiting": waiting_of(place) if place else None,
            "take_url": reverse("portal:pool-take", args=[pool.pk]),
        }


class Beat(Take):
    """A waiting page is still there: keeps the place, and goes to the desktop when one has come.

    With `stay` (the list of desktops) the page only shows itself anew then.
    """

    def do(self, pk: Any) -> HttpResponse:
        found = take_or_wait(allocate, actor=self.actor, pool=find(self.actor, Pool, pk))
        if isinstance(found, Place):
            return render(self.request, "portal/partials/place.html", {"waiting": waiting_of(found)})
        if "stay" in self.request.POST:
            return done(self.request, _("Your desktop is there."), to=reverse("portal:home"))
        return self.go(screen_of(found))


class Leave(Deed):
    def do(self, pk: Any) -> HttpResponse:
        leave_queue(actor=self.actor, pool=find(self.actor, Pool, pk))
        return done(self.request, _("You wait no longer."), to=reverse("portal:home"), leave=True)


def screen_of(allocation: Allocation) -> str:
    return reverse("portal:console", args=[allocation.desktop.pk])
