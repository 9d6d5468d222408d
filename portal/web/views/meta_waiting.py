"""Taking a desktop through a meta-pool, or waiting for one: as with a pool, over the meta-pool's own right."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from pools.actions.allocate_meta import allocate_meta
from pools.actions.leave_meta_queue import leave_meta_queue
from pools.meta_taking import meta_places_of, take_or_wait_meta
from pools.models import MetaPool
from pools.queue import Place
from portal.web.base import Deed, Page, done
from portal.web.waiting import waiting_of

from . import waiting


class Take(waiting.Take):
    """Connect on a meta-pool's card: take a desktop and go to its screen, or wait for one on a page of its own."""

    def do(self, pk: Any) -> HttpResponse:
        meta = find(self.actor, MetaPool, pk)
        found = take_or_wait_meta(allocate_meta, actor=self.actor, meta=meta)
        if isinstance(found, Place):
            return self.go(reverse("portal:meta-pool-wait", args=[meta.pk]))
        return self.go(waiting.screen_of(found.allocation))


class Wait(Page):
    """One's place in the queue of one of the pools. Looking at it changes nothing."""

    template = "portal/waiting.html"

    def content(self, pk: Any) -> dict[str, Any]:
        meta = find(self.actor, MetaPool, pk, "meta-pool.use")
        place = meta_places_of(self.actor.user, [meta.pk]).get(meta.pk) if self.actor.user else None
        return {
            "pool": meta,
            "live_kinds": "desktop",
            "waiting": waiting_of(place, meta) if place else None,
            "take_url": reverse("portal:meta-pool-take", args=[meta.pk]),
        }


class Beat(Take):
    """A waiting page is still there: asks all pools again, keeps the place, and goes to the desktop when there is one.

    With `stay` (the list of desktops) the page only shows itself anew then.
    """

    def do(self, pk: Any) -> HttpResponse:
        meta = find(self.actor, MetaPool, pk)
        found = take_or_wait_meta(allocate_meta, actor=self.actor, meta=meta)
        if isinstance(found, Place):
            return render(self.request, "portal/partials/place.html", {"waiting": waiting_of(found, meta)})
        if "stay" in self.request.POST:
            return done(self.request, _("Your desktop is there."), to=reverse("portal:home"))
        return self.go(waiting.screen_of(found.allocation))


class Leave(Deed):
    def do(self, pk: Any) -> HttpResponse:
        leave_meta_queue(actor=self.actor, meta=find(self.actor, MetaPool, pk))
        return done(self.request, _("You wait no longer."), to=reverse("portal:home"), leave=True)
