"""Physical PCs: the list of them, and the forms by which they are added and changed."""

from typing import Any

from django.db import transaction
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find, require, visible_to
from broker.virt.actions.create_physical_machine import create_physical_machine
from broker.virt.actions.delete_physical_machine import delete_physical_machine
from broker.virt.actions.edit_physical_machine import edit_physical_machine
from broker.virt.models import Cluster, PhysicalMachine
from pools.actions.add_physical_machine import add_physical_machine
from portal.context import holds
from portal.web import words
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.listing import Column, Listing
from portal.web.parts import Action, Cell, Row, jobs_of
from portal.web.physical_forms import EditPcForm, NewPcForm

VERB = "host.manage"


class PhysicalPcs(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        able = holds(self.actor, VERB)
        columns = (
            Column(_("PC"), "vm__name"), Column(_("State"), "vm__power_state"), Column(_("Address"), "address"),
            Column(_("Offers")), Column(_("Wake-on-LAN"), "mac"), Column(_("Given to")),
            Column(_("Last seen"), "probed_at"),
            *([Column("")] if able else []),
        )  # fmt: skip
        rows = visible_to(self.actor, PhysicalMachine, "host.view").select_related(
            "vm__desktop__pool", "vm__desktop__holder"
        )
        listing = Listing(
            self.request, rows, columns=columns, search=("vm__name", "vm__title", "address", "mac", "vm__tags__name"),
            order="vm__name",
        )  # fmt: skip
        page = list(listing.page)
        changeable = set(
            visible_to(self.actor, PhysicalMachine.objects.filter(pk__in=[row.pk for row in page]), VERB).values_list(
                "pk", flat=True
            )
        )
        jobs = jobs_of("vm", [row.pk for row in page])
        return {
            "title": _("Physical PCs"),
            "under": _("PCs that no hypervisor runs: Berth wakes them and opens their screens."),
            "empty": _("No PC was added yet."),
            "new_url": reverse("portal:physical-pc-new") if able else "",
            "new_label": _("Add a PC"),
            "live_kinds": "vm job",
            "acting": able,
            "listing": listing,
            "rows": [
                Row(
                    [
                        Cell(row.name, url=reverse("portal:vm", args=[row.pk]), under=row.vm.title),
                        Cell(mark=words.machine_mark(row.vm, jobs.get(row.pk))),
                        Cell(row.address, under=_where(row)),
                        Cell(offers(row)),
                        Cell(row.mac or "–"),
                        _whose(row),
                        Cell(moment=row.probed_at) if row.probed_at else Cell(_("never")),
                    ],
                    _actions(row) if row.pk in changeable else (),
                )
                for row in page
            ],
        }


def _where(pc: PhysicalMachine) -> str:
    """What its name leads to, or why it cannot be looked for."""
    if pc.error:
        return _(pc.error)
    return pc.resolved if pc.resolved and pc.resolved != pc.address else ""


def offers(pc: PhysicalMachine) -> str:
    """By which protocols it can be opened, with their ports."""
    ways = (("VNC", pc.vnc_port), ("RDP", pc.rdp_port))
    return ", ".join(f"{name} {port}" for name, port in ways if port)


def _whose(pc: PhysicalMachine) -> Cell:
    desktop = getattr(pc.vm, "desktop", None)
    if desktop is None:
        return Cell("–")
    return Cell(str(desktop.holder) if desktop.holder else _("free"), under=str(desktop.pool))


def _actions(row: PhysicalMachine) -> list[Action]:
    text = _("%(name)s is no longer offered. Nothing happens at the PC itself.") % {"name": row.name}
    return [
        Action(_("Edit"), reverse("portal:physical-pc-edit", args=[row.pk]), "edit", link=True),
        Action(_("Remove"), reverse("portal:physical-pc-delete", args=[row.pk]), "trash", True, text),
    ]


class NewPc(FormPage):
    verb = VERB

    def form(self, data: Any) -> NewPcForm:
        return NewPcForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        values["cluster"] = find(self.actor, Cluster, values["cluster"].pk)
        pool = values.pop("pool")
        with transaction.atomic():
            pc = create_physical_machine(actor=self.actor, **values)
            if pool is not None:
                add_physical_machine(actor=self.actor, pool=pool, pc=pc)
        return reverse("portal:vm", args=[pc.pk])

    def words(self) -> dict[str, Any]:
        return _words(_("Add a PC"))


class EditPc(FormPage):
    def form(self, data: Any, pk: Any) -> EditPcForm:
        self._form = EditPcForm(data, actor=self.actor, pc=self._pc(pk))
        return self._form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        values = self._form.values()
        pool = values.pop("pool", None)
        with transaction.atomic():
            pc = edit_physical_machine(actor=self.actor, pc=self._pc(pk), **values)
            if pool is not None:
                add_physical_machine(actor=self.actor, pool=pool, pc=pc)
        return reverse("portal:physical-pcs")

    def words(self, pk: Any) -> dict[str, Any]:
        return _words(_("Edit %(name)s") % {"name": self._pc(pk)})

    def _pc(self, pk: Any) -> PhysicalMachine:
        pc: PhysicalMachine = find(self.actor, PhysicalMachine, pk, "host.view")
        require(self.actor, VERB, pc)
        return pc


def _words(title: str) -> dict[str, Any]:
    return {
        "title": title,
        "under": _("Give it to somebody by its permissions, or put it into a pool."),
        "submit": _("Save"),
        "back_url": reverse("portal:physical-pcs"),
        "back_label": _("Physical PCs"),
    }


class DeletePc(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_physical_machine(actor=self.actor, pc=find(self.actor, PhysicalMachine, pk, "host.view"))
        return done(self.request, _("The PC was removed."), to=reverse("portal:physical-pcs"))
