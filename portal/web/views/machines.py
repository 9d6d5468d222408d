"""The list of machines."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from broker.access.require import visible_to
from broker.virt.models import Host, VirtualMachine

from .. import words
from ..base import Page
from ..listing import Column, Filter, Listing
from ..machines import for_lists, machine_rows

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
        return {"listing": listing, "rows": machine_rows(self.actor, list(listing.page))}
