"""The chain of events: what was verified, what came of it, and verifying it now."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actions.verify_events import verify_events
from broker.access.require import may, require
from broker.events.checking import CHANGED, CUT, RESEALED, the_check
from broker.events.models import ChainCheck
from portal.web.base import Deed, Page, done
from portal.web.parts import Action, Notice, Pair
from portal.web.words import Mark


class Chain(Page):
    template = "portal/manage/detail.html"

    def content(self) -> Mapping[str, Any]:
        require(self.actor, "event.view")
        row = the_check()
        return {
            "title": _("Chain of events"),
            "mark": _mark(row),
            "under": _("Each event's digest covers the one before it: what was changed or removed breaks the chain."),
            "actions": [Action(_("Verify now"), reverse("portal:events-verify"), "refresh")]
            if may(self.actor, "system.manage")
            else [],
            "back_url": reverse("portal:events"),
            "back_label": _("Events"),
            "live_kinds": "event",
            "notices": _notices(row),
            "details": [
                Pair(_("Intact up to"), _("position %(position)s") % {"position": row.good_position}),
                Pair(_("Digest there"), row.good_digest or "–", copy=bool(row.good_digest)),
                Pair(_("Last pass ended"), moment=row.ended_at) if row.ended_at else Pair(_("Last pass ended"), "–"),
            ],
            "relateds": [],
        }


class Verify(Deed):
    def do(self) -> HttpResponse:
        verify_events(actor=self.actor)
        return done(self.request, _("The chain is verified; the page says what came of it."))


def _mark(row: ChainCheck) -> Mark:
    if row.asked or row.under_way:
        return Mark(_("Being verified"), "warn")
    if row.problem:
        return Mark(_("Broken"), "bad")
    return Mark(_("Intact"), "good") if row.ended_at else Mark(_("Not verified yet"), "idle")


def _notices(row: ChainCheck) -> list[Notice]:
    if not row.problem:
        return []
    values = {"position": row.position, "id": row.wrong_id or "–", "kind": row.wrong_kind or "–"}
    text = {
        CHANGED: _("After position %(position)s the chain breaks at event %(id)s (%(kind)s)."),
        RESEALED: _("Up to position %(position)s the events are others than at the last good pass."),
        CUT: _("After position %(position)s events are missing that were there at the last good pass."),
    }[row.problem] % values
    fix = _(
        "Somebody wrote to the database beside Berth, or a backup was restored. Compare with an export kept elsewhere."
    )
    return [Notice(text, fix, "bad")]
