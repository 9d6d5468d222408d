"""What waits for a machine's next start, its cards, and the other ways to change it: the page, its deeds and forms."""

from collections.abc import Mapping
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find, may
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt import pending, screen_wishes
from broker.virt.actions.apply_changes import apply_changes
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_nic import create_nic
from broker.virt.actions.delete_nic import delete_nic
from broker.virt.actions.edit_network import edit_network
from broker.virt.actions.edit_nic import edit_nic
from broker.virt.actions.run_once import run_once
from broker.virt.actions.undo_changes import undo_changes
from broker.virt.models import Guard, Network, Nic, VirtualMachine
from broker.virt.pending_parts import PARTS
from portal.web import words
from portal.web.base import Deed, Page, done
from portal.web.change_forms import CardForm, ChangeNetworkForm, CloneForm, OnceForm
from portal.web.changes import cause_of, value_of
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.parts import Action, Cell, Notice, Pair, Related, Row, jobs_of, recent_events
from portal.web.words import Mark

from .devices import devices_of_machine, give_device


def card_of(vm: VirtualMachine, pk: Any) -> Nic:
    found = vm.nics.select_related("vm", "network").filter(pk=pk).first()
    if found is None:
        raise Missing(
            N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
        )
    return found


class Changes(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        vm = find(self.actor, VirtualMachine, pk)
        job = jobs_of("vm", [vm.pk]).get(vm.pk)
        able = may(self.actor, "vm.edit", vm) and vm.state == "ready" and not job
        row = pending.of(vm)
        return {
            "title": _("Changes and cards of %(name)s") % {"name": vm.title or vm.name},
            "mark": words.machine_mark(vm, job),
            "notices": [Notice(_("A job is at work on this machine: %(job)s.") % {"job": _(job.title)})] if job else [],
            "back_url": reverse("portal:vm", args=[vm.pk]),
            "back_label": vm.title or vm.name,
            "live_kinds": f"vm:{vm.pk} job",
            "actions": [
                *(_actions(vm, waits=row is not None) if able else []),
                *(give_device(self.actor, vm) if able else []),
            ],
            "details": _details(vm),
            "relateds": [_waiting(vm, row, able), _cards(vm, row, able), *devices_of_machine(vm, row, able)],
            "events": recent_events("vm", vm.pk, self.actor),
        }


def _actions(vm: VirtualMachine, *, waits: bool) -> list[Action]:
    found = [Action(_("New card"), reverse("portal:card-new", args=[vm.pk]), "plus", link=True)]
    if waits and vm.power_state in pending.UP:
        found.append(Action(_("Try now"), reverse("portal:changes-apply", args=[vm.pk]), "player-play"))
    if waits:
        found.append(
            Action(
                _("Undo all"), reverse("portal:changes-undo", args=[vm.pk]), "rotate-clockwise",
                confirm=_("What waits for the next start is forgotten; the machine stays as it is."),
            )
        )  # fmt: skip
    return found


def _details(vm: VirtualMachine) -> list[Pair]:
    options = vm.options
    return [
        Pair(_("Processors"), str(vm.vcpus)),
        Pair(_("Most processors"), str(options.get("max_vcpus") or vm.vcpus)),
        Pair(_("Memory"), words_mib(vm.memory_mib)),
        Pair(_("Most memory"), words_mib(options.get("max_memory_mib") or vm.memory_mib)),
    ]


def words_mib(size: int) -> str:
    from portal.templatetags.berth import mib

    return str(mib(size))


def _waiting(vm: VirtualMachine, row: Any, able: bool) -> Related:
    rows = [
        Row(
            [
                Cell(
                    f"{_(one.title)} {one.name}: "
                    f"{value_of(one, one.now)} → {value_of(one, one.then)}".replace(" :", ":"),
                    under=cause_of(one),
                )
            ],
            [
                Action(
                    _("Undo"), reverse("portal:changes-undo", args=[vm.pk]), "rotate-clockwise",
                    fields={"field": one.field},
                )
            ]
            if able and one.field not in screen_wishes.TITLES else (),
        )
        for one in pending.differences(vm, row)
    ]  # fmt: skip
    heads = [_("Now → at its next start")]
    return Related(_("Waits for its next start"), heads, rows, _("Nothing waits."), acting=True)


def _cards(vm: VirtualMachine, row: Any, able: bool) -> Related:
    rows = [
        Row(
            [
                Cell(nic.network.name, under=_about(nic)),
                Cell(mark=_card_mark(nic, gone=bool(pending.of_part(row, nic).get("gone")))),
            ],
            _card_actions(vm, nic) if able else (),
        )
        for nic in vm.nics.select_related("network")
    ]
    heads = [_("Card on"), _("State")]
    return Related(_("Network cards"), heads, rows, _("It has no card."), acting=True)


def _about(nic: Nic) -> str:
    """Its address, model, guard and limits in a line."""
    parts = [
        nic.mac,
        nic.leased,
        nic.get_model_display(),
        _("sends as %(guard)s") % {"guard": _(dict(Guard.choices)[nic.guarded])},
        _("%(kib)d KiB/s in") % {"kib": nic.in_kib} if nic.in_kib else "",
        _("%(kib)d KiB/s out") % {"kib": nic.out_kib} if nic.out_kib else "",
    ]
    return " · ".join(filter(None, parts))


def _card_mark(nic: Nic, *, gone: bool) -> Mark:
    if not nic.plugged:
        return Mark(_("Comes"), "warn")
    if gone:
        return Mark(_("Goes"), "warn")
    return Mark(_("Plugged in"), "good") if nic.connected else Mark(_("Cable out"), "idle")


def _card_actions(vm: VirtualMachine, nic: Nic) -> list[Action]:
    return [
        Action(_("Change"), reverse("portal:card-edit", args=[vm.pk, nic.pk]), "edit", link=True),
        Action(
            _("Remove"), reverse("portal:card-delete", args=[vm.pk, nic.pk]), "trash", danger=True,
            confirm=_("The machine loses this way into %(network)s, and the card's address.")
            % {"network": nic.network.name},
        ),
    ]  # fmt: skip


class Undo(Deed):
    def do(self, pk: Any) -> HttpResponse:
        field = self.request.POST.get("field", "")
        undo_changes(actor=self.actor, vm=find(self.actor, VirtualMachine, pk), fields=[field] if field else None)
        return done(self.request, _("It is undone."))


class Apply(Deed):
    def do(self, pk: Any) -> HttpResponse:
        apply_changes(actor=self.actor, vm=find(self.actor, VirtualMachine, pk))
        return done(self.request, _("It is being tried."))


class DeleteCard(Deed):
    def do(self, pk: Any, card: Any) -> HttpResponse:
        delete_nic(actor=self.actor, nic=card_of(find(self.actor, VirtualMachine, pk), card))
        return done(self.request, _("The card is to go."))


class _Form(FormPage):
    """A form about one machine. `back`: the page it leads from."""

    title = under = submit = ""
    needs, back = "vm.edit", "portal:vm-changes"

    def vm(self, pk: Any) -> VirtualMachine:
        return find(self.actor, VirtualMachine, pk, self.needs)

    def words(self, pk: Any, **more: Any) -> Mapping[str, Any]:
        vm = self.vm(pk)
        whole = self.back == "portal:vm"
        return {
            "title": _(self.title) % {"name": vm.title or vm.name},
            "under": _(self.under),
            "submit": _(self.submit),
            "back_url": reverse(self.back, args=[vm.pk]),
            "back_label": vm.title or vm.name if whole else _("Changes and cards"),
        }


class NewCard(_Form):
    title = N_("New card for %(name)s")
    under = N_("It is plugged in at once when the machine runs.")
    submit = N_("Add the card")

    def form(self, data: Any, pk: Any) -> StyledForm:
        return CardForm(data, actor=self.actor, vm=self.vm(pk))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        create_nic(actor=self.actor, vm=self.vm(pk), **values)
        return reverse("portal:vm-changes", args=[pk])


class EditCard(_Form):
    title = N_("Change a card of %(name)s")
    under = N_("Its model changes with the next start only.")
    submit = N_("Save")

    def form(self, data: Any, pk: Any, card: Any) -> StyledForm:
        vm = self.vm(pk)
        nic = card_of(vm, card)
        return CardForm(
            data, actor=self.actor, vm=vm, nic=PARTS["nics"].changed(nic, pending.of_part(pending.of(vm), nic))
        )

    def make(self, values: dict[str, Any], pk: Any, card: Any) -> str:
        edit_nic(actor=self.actor, nic=card_of(self.vm(pk), card), **values)
        return reverse("portal:vm-changes", args=[pk])


class RunOnce(_Form):
    title = N_("Run %(name)s once")
    under = N_("For this run only; its definition stays as it is.")
    submit = N_("Start it")
    needs, back = "vm.power", "portal:vm"
    template = "portal/manage/new_machine.html"

    def form(self, data: Any, pk: Any) -> StyledForm:
        return OnceForm(data, actor=self.actor, vm=self.vm(pk))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        words = OnceForm.words(values)
        run_once(actor=self.actor, vm=self.vm(pk), cloud_init=words, **values)
        return reverse("portal:vm", args=[pk])


class Clone(_Form):
    title = N_("Clone %(name)s")
    under = N_("A full copy with a UUID and MAC addresses of its own. The original has to be off.")
    submit = N_("Make the copy")
    back = "portal:vm"

    def form(self, data: Any, pk: Any) -> StyledForm:
        self.vm(pk)
        return CloneForm(data, actor=self.actor)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        job = clone_vm(actor=self.actor, vm=self.vm(pk), **values)
        return reverse("portal:vm", args=[job.subject_id])


class EditNetwork(FormPage):
    def form(self, data: Any, pk: Any) -> StyledForm:
        return ChangeNetworkForm(data, network=find(self.actor, Network, pk, "network.manage"))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_network(actor=self.actor, network=find(self.actor, Network, pk), **values)
        return reverse("portal:network", args=[pk])

    def words(self, pk: Any) -> Mapping[str, Any]:
        row = find(self.actor, Network, pk)
        return {
            "title": _("Edit %(name)s") % {"name": row.name},
            "under": _("Where it leads and its MTU change only while no machine runs on it."),
            "submit": _("Save"),
            "back_url": reverse("portal:network", args=[pk]),
            "back_label": row.name,
        }
