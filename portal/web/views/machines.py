"""The list of machines: the search language and its completion, saved searches, the choice of columns."""

from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import may, visible_to
from broker.connections.finding import found
from broker.virt.actions.create_saved_search import create_saved_search
from broker.virt.actions.delete_saved_search import delete_saved_search
from broker.virt.batches import right_of
from broker.virt.models import Host, SavedSearch, VirtualMachine
from broker.virt.saved import COLUMNS, USUAL_COLUMNS, saved_searches
from broker.virt.search import complete, search
from broker.virt.search.language import LONGEST, narrowed
from portal.context import holds
from portal.web import words
from portal.web.base import Deed, Page, SignedIn, done
from portal.web.listing import Column, Filter, Language, Listing
from portal.web.machines import for_the_list, machine_rows
from portal.web.parts import Action
from portal.web.verbs import MORE, POWER_VERBS

# name → (head, what it is sorted by)
HEADS = {
    "state": (gettext_lazy("State"), "power_state"),
    "cpu": (gettext_lazy("Processor"), "cpu_percent"),
    "host": (gettext_lazy("Host"), "host__name"),
    "pool": (gettext_lazy("Pool"), ""),
    "holder": (gettext_lazy("Given to"), ""),
    "vcpus": (gettext_lazy("vCPU"), "vcpus"),
    "memory": (gettext_lazy("Memory"), "memory_mib"),
    "cluster": (gettext_lazy("Cluster"), "cluster__name"),
    "template": (gettext_lazy("Template"), ""),
    "address": (gettext_lazy("Address"), ""),
    "owner": (gettext_lazy("Owner"), ""),
    "created": (gettext_lazy("Made"), "created_at"),
}


def shown_columns(request: HttpRequest) -> list[str]:
    """The columns asked for, in their order; the usual ones without any that there is."""
    asked = {name for value in request.GET.getlist("columns") for name in value.split(",")}
    return [name for name in COLUMNS if name in asked] or list(USUAL_COLUMNS)


class Machines(Page):
    template = "portal/manage/machines.html"

    def content(self) -> dict[str, Any]:
        hosts = visible_to(self.actor, Host).order_by("name").values_list("pk", "name")[:500]
        shown = shown_columns(self.request)
        listing = Listing(
            self.request,
            for_the_list(visible_to(self.actor, VirtualMachine)),
            columns=(Column(_("Name"), "name"), *(Column(*HEADS[name]) for name in shown), Column("")),
            language=Language(self._find, LONGEST, reverse("portal:vms-words")),
            filters=(
                Filter("power", _("Power"), "power_state", [(key, mark.word) for key, mark in words.POWER.items()]),
                Filter("host", _("Host"), "host_id", [(str(pk), name) for pk, name in hosts]),
            ),
            order="name",
        )
        usual = shown == list(USUAL_COLUMNS)
        return {
            "listing": listing,
            "shown": shown,
            "columns": [{"name": name, "label": HEADS[name][0], "shown": name in shown} for name in COLUMNS],
            "columns_text": "" if usual else ",".join(shown),
            "searches": [self._saved(row) for row in saved_searches(self.actor)[:100]],
            "bulk": self._bulk(),
            "may_share": may(self.actor, "vm.edit"),
            "rows": machine_rows(self.actor, list(listing.page)),
            "new_url": reverse("portal:vm-new") if holds(self.actor, "vm.create") else "",
        }

    def _bulk(self) -> list[dict[str, Any]]:
        """What can be done to those chosen: what the actor may do to any machine at all."""
        verbs = [
            {"name": verb.name, "label": verb.label, "icon": verb.icon, "danger": verb.danger}
            for verb in POWER_VERBS
            if holds(self.actor, "vm.power")
        ]
        for name, (label, icon, danger) in MORE.items():
            if holds(self.actor, right_of(name)):
                verbs.append({"name": name, "label": label, "icon": icon, "danger": danger})
        return verbs

    def _find(self, text: str) -> Any:
        one = search(self.actor, text)
        return one.condition, one.order

    def _saved(self, row: SavedSearch) -> dict[str, Any]:
        values = {"q": row.text, "columns": ",".join(row.columns)}
        address = urlencode({name: value for name, value in values.items() if value})
        own = row.owner_id == self.actor.user_id
        given = self.request.GET
        current = all(given.get(name, "") == value for name, value in values.items())
        return {
            "id": row.pk,
            "name": row.name,
            "url": f"?{address}",
            "owner": "" if own else str(row.owner),
            "shared": row.shared,
            "current": current and not (given.get("power") or given.get("host")),
            "delete": Action(
                _("Remove"), reverse("portal:search-delete", args=[row.pk]), "trash",
                confirm=_("The saved search is removed. The machines stay."),
            ) if own else None,
        }  # fmt: skip


class Words(SignedIn):
    """What can be typed next in the search field: ?q= is what stands before the cursor."""

    def get(self, request: HttpRequest) -> JsonResponse:
        text = request.GET.get("q", "").replace("\0", "")[:LONGEST]
        found = [{"text": one.text, "start": one.start, "hint": one.hint} for one in complete(self.actor, text)]
        return JsonResponse({"words": found}, headers={"Cache-Control": "no-store"})


class SaveSearch(Deed):
    """POST name, q, columns, power, host, shared: what the list shows now, under a name."""

    def do(self) -> HttpResponse:
        sent = self.request.POST
        conditions = []
        if sent.get("power") in words.POWER:
            conditions.append(f"status={sent['power']}")
        hosts = {str(pk): name for pk, name in visible_to(self.actor, Host).values_list("pk", "name")}
        if sent.get("host") in hosts:
            conditions.append(f'host="{hosts[sent["host"]]}"')
        row = create_saved_search(
            actor=self.actor,
            name=sent.get("name", ""),
            text=narrowed(sent.get("q", "").strip(), conditions),
            columns=[name for name in sent.get("columns", "").split(",") if name],
            shared=bool(sent.get("shared")),
        )
        return done(self.request, _("The search %(name)s is saved.") % {"name": row.name}, to=reverse("portal:vms"))


class DeleteSearch(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_saved_search(actor=self.actor, search=found(saved_searches(self.actor), pk))
        return done(self.request, _("The saved search is removed."), to=reverse("portal:vms"))
