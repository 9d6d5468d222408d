"""My desktops, taking one from a pool, giving one back."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from pools.actions.release import release
from pools.queries import find_desktop
from portal.web.access_page import over_now
from portal.web.base import Deed, Page, done
from portal.web.booking_cards import cancelled
from portal.web.cards import Card, cards_for
from portal.web.listing import search_text

SHOWS = (("all", gettext_lazy("All")), ("running", gettext_lazy("Running")), ("off", gettext_lazy("Off")))


class Desktops(Page):
    template = "portal/desktops.html"

    def content(self) -> dict[str, Any]:
        cards = cards_for(self.actor)
        show = self.request.GET.get("show", "all")
        show = show if show in dict(SHOWS) else "all"
        search = search_text(self.request)
        return {
            "cards": [card for card in cards if _fits(card, show, search)],
            "over": over_now(self.actor),
            "cancelled": cancelled(self.actor),
            "total": len(cards),
            "running": sum(card.running for card in cards if card.kind == "machine"),
            "search": search,
            "show": show,
            "shows": [{"value": value, "label": label, "current": value == show} for value, label in SHOWS],
        }


def _fits(card: Card, show: str, search: str) -> bool:
    if show != "all" and card.running != (show == "running"):
        return False
    return search.lower() in f"{card.title} {card.subtitle}".lower()


class Release(Deed):
    """Give a desktop back to its pool."""

    def do(self, pk: Any) -> HttpResponse:
        release(actor=self.actor, desktop=find_desktop(self.actor, pk))
        return done(self.request, _("The desktop was given back."), to=reverse("portal:home"), leave=True)
