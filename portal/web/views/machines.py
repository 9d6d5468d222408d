"""The list of machines."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from broker.access.require import visible_to
from broker.virt.models import Host, VirtualMachine
from portal.context import holds
from portal.web import words
from portal.web.base import Page
from portal.web.listing import Column, Filter, Listing
from portal.web.machines import for_lists, machine_rows

COLUMNS = (
    Column(_("Name"), "name"),
    Column(_("State"), "power_state"),
    Column(_("Processor"), "cpu_percent"),
    Column(_("Host"), "host__name"),
    Column(_("Pool")),
    Column(_("Given to")),
    Column(_("vCPU"), "vcpus"),
    Column(_("Memory"), "memory_mib"),
    Column(""),
)


class Machines(Page):
    template = "portal/manage/machines.html"

    def content(self) -> dict[str, Any]:
        hosts = visible_to(self.actor, Host).order_by("name").values_list("pk", "name")[:500]
        listing = Listing(
            self.request,
            for_lists(visible_to(self.actor, VirtualMachine)),
            columns=COLUMNS,
            search=("name", "title", "desktop__pool__title", "desktop__holder__username"),
            filters=(
                Filter("power", _("Power"), "power_state", [(key, mark.word) for key, mark in words.POWER.items()]),
                Filter("host", _("Host"), "host_id", [(str(pk), name) for pk, name in hosts]),
            ),
            order="name",
        )
        return {
            "listing": listing,
            "rows": machine_rows(self.actor, list(listing.page)),
            "new_url": reverse("portal:vm-new") if holds(self.actor, "vm.create") else "",
        }
