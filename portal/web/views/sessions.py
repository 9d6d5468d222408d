"""Who is at which screen: the live list, what can be done to one session, and to several desktops at once."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.db.models import Exists, OuterRef
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import visible_to
from broker.connections.actions import ask_help, end_session
from broker.connections.finding import found
from broker.connections.models import Help, Session, SignOn
from broker.connections.queries import visible_sessions
from broker.connections.states import HELP, SessionState
from broker.gateway.closing import BY_NAME
from broker.virt.models import VirtualMachine
from pools.bulk import act
from pools.models import Pool
from portal.web.base import Deed, Page, came_from, done, is_htmx
from portal.web.bulk import BULK
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, error_sentences, stored_sentences
from portal.web.words import UNKNOWN, Mark

SHOWS = (("live", gettext_lazy("Open now")), ("all", gettext_lazy("All")))
STATES = {
    "open": Mark(gettext_lazy("Open"), "good"),
    "ending": Mark(gettext_lazy("Ending"), "warn"),
    "closed": Mark(gettext_lazy("Over"), "idle"),
}
WAYS = {"browser": gettext_lazy("Browser"), "viewer": gettext_lazy("Remote Viewer (.vv)")}
PURPOSES = {
    "own": gettext_lazy("own screen"),
    "look": gettext_lazy("looks on"),
    "help": gettext_lazy("helps"),
    "share": gettext_lazy("by a shared link"),
}


class Sessions(Page):
    template = "portal/manage/sessions.html"

    def content(self) -> dict[str, Any]:
        show = self.request.GET.get("show", "live")
        show = show if show in dict(SHOWS) else "live"
        columns = (
            Column(_("Who"), "user__username"), Column(_("Desktop"), "vm__name"), Column(_("State"), "state"),
            Column(_("From"), "address"), Column(_("Since"), "opened_at"), Column(_("Last input"), "last_input_at"),
            Column(""),
        )  # fmt: skip
        rows = visible_sessions(self.actor).select_related("user", "vm__desktop__pool")
        guests = Session.objects.live().exclude(purpose__in=("own", "serial")).filter(vm=OuterRef("vm"))
        rows = rows.annotate(watched=Exists(guests))
        if show == "live":
            rows = rows.filter(state__in=(SessionState.OPEN, SessionState.ENDING))
        pools = [(str(pk), title) for pk, title in visible_to(self.actor, Pool).values_list("pk", "title")]
        listing = Listing(
            self.request,
            rows,
            columns=columns,
            search=("user__username", "user__display_name", "vm__name", "address"),
            filters=(
                Filter("pool", _("Pool"), "vm__desktop__pool", pools),
                Filter("purpose", _("Kind"), "purpose", list(PURPOSES.items())),
            ),
            order="-opened_at",
        )
        page = list(listing.page)
        ids = {row.vm_id for row in page}
        machines = VirtualMachine.objects.filter(pk__in=ids)
        edited = set(visible_to(self.actor, machines, "vm.edit").values_list("pk", flat=True))
        return {
            "listing": listing,
            "show": show,
            "shows": [{"value": value, "label": label, "current": value == show} for value, label in SHOWS],
            "rows": [self._row(row, row.vm_id in edited) for row in page],
            "bulk": BULK if edited else (),
        }

    def _row(self, row: Any, edited: bool) -> dict[str, Any]:
        live = row.state != SessionState.CLOSED
        desktop = getattr(row.vm, "desktop", None)
        closing = BY_NAME.get(row.close_reason)
        mine = row.user_id == self.actor.user_id
        return {
            "id": row.pk,
            "vm": row.vm_id,
            "user": str(row.user),
            "name": row.vm.name,
            "url": reverse("portal:vm", args=[row.vm_id]),
            "pool": str(desktop.pool) if desktop else "",
            "mark": STATES.get(row.state, UNKNOWN),
            "why": _(closing.text) if closing and not live else "",
            "sign_on": _sign_on(row),
            "watched": live and row.watched and row.purpose == Session.Purpose.OWN,
            "purpose": PURPOSES.get(row.purpose, row.purpose) if row.purpose != Session.Purpose.OWN else "",
            "address": row.address or "–",
            "way": WAYS.get(row.via, row.via),
            "opened_at": row.opened_at,
            "lasted": (row.closed_at - row.opened_at) if row.closed_at else None,
            "input": row.last_input_at if live else None,
            "choosable": live and edited and not mine,
            "actions": _actions(row, edited, mine) if live else [],
        }


def _sign_on(row: Any) -> dict[str, str]:
    """What came of the sign-on in the guest: its pill's tone and word, and why it failed with what would help."""
    found = getattr(row, "sign_on", None)
    if found is None or found.outcome == SignOn.Outcome.DROPPED:
        return {}
    tone = {"": "warn", SignOn.Outcome.FAILED: "bad"}.get(found.outcome, "good")
    word = found.get_outcome_display() if found.outcome else _("being signed on in the desktop")
    return {"tone": tone, "word": word, "why": " ".join(stored_sentences(found.error)).strip()}


def _actions(row: Any, edited: bool, mine: bool) -> list[Action]:
    end = Action(
        _("Close the screen"), reverse("portal:session-end", args=[row.pk]), "plug-connected-x", danger=True,
        confirm=_("%(user)s loses the screen at once; what runs in the desktop goes on.") % {"user": row.user},
    )  # fmt: skip
    if mine:
        return [end]
    if not edited:
        return []
    if row.purpose != Session.Purpose.OWN:
        return [end]
    asked = _("%(user)s is asked first, and sees that you are there.") % {"user": row.user}
    return [
        Action(_("Look on …"), reverse("portal:session-ask", args=[row.pk, "look"]), "eye", confirm=asked),
        Action(_("Help …"), reverse("portal:session-ask", args=[row.pk, "help"]), "help-circle", confirm=asked),
        end,
    ]


class End(Deed):
    """Close one session's screen."""

    def do(self, pk: Any) -> HttpResponse:
        end_session(actor=self.actor, session=found(visible_sessions(self.actor), pk))
        return done(self.request, _("The screen is being closed."), to=reverse("portal:sessions"))


class Ask(Deed):
    """Ask to look on or to help; leads to the console page, which waits for the answer."""

    def do(self, pk: Any, level: str) -> HttpResponse:
        session = found(visible_sessions(self.actor), pk)
        mine = Help.objects.filter(vm=session.vm_id, helper=self.actor.user_id, level=level)
        standing = mine.filter(state__in=HELP.sets["standing"]).first()
        help = standing or ask_help(actor=self.actor, session=session, level=level)
        url = reverse("portal:console", args=[session.vm_id]) + f"?help={help.pk}"
        if is_htmx(self.request):
            return HttpResponse(status=204, headers={"HX-Redirect": url})
        return HttpResponseRedirect(url)


class Bulk(Deed):
    """POST verb, vm (several), text: back where it came from, which tells for each refused one why."""

    def do(self) -> HttpResponse:
        sent = self.request.POST
        verb = sent.get("verb", "")
        outcomes = act(actor=self.actor, verb=verb, machines=_ids(sent.getlist("vm")), text=sent.get("text", ""))
        for one in outcomes:
            if one.error:
                cause, fix = error_sentences(one.error)
                messages.error(self.request, f"{one.name}: {cause} {fix}".strip())
        accepted = sum(1 for one in outcomes if not one.error)
        if accepted:
            label = next((label for name, label, *_rest in BULK if name == verb), verb)
            told = _("%(what)s: %(accepted)d of %(all)d accepted.")
            messages.success(self.request, told % {"what": label, "accepted": accepted, "all": len(outcomes)})
        return HttpResponseRedirect(came_from(self.request))


def _ids(values: Sequence[str]) -> list[UUID]:
    found_ids = []
    for value in values:
        try:
            found_ids.append(UUID(value))
        except ValueError:
            continue
    return found_ids
