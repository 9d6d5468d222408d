"""Disks that several machines have: which ones, and the ways to share, give and take one away."""

from collections.abc import Collection
from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from broker.access.actor import Actor
from broker.access.require import find, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt import pending
from broker.virt.actions.attach_shared_disk import attach_shared_disk
from broker.virt.actions.detach_shared_disk import detach_shared_disk
from broker.virt.actions.share_disk import share_disk
from broker.virt.models import DiskShare, FloatingDisk, VirtualMachine
from portal.templatetags.berth import bytesize
from portal.web.base import Deed, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer
from portal.web.parts import Action, Cell, Related, Row
from portal.web.words import Mark


def had_by(actor: Actor, disks: Collection[FloatingDisk]) -> dict[Any, str]:
    """Who has each of these, whose `shares` are loaded; only machines that the actor may see are named."""
    shares = [share for disk in disks for share in disk.shares.all()]
    seen = set(
        visible_to(actor, VirtualMachine).filter(pk__in=[one.vm_id for one in shares]).values_list("pk", flat=True)
    )
    found = {}
    for disk in disks:
        names = [share.vm.name for share in disk.shares.all() if share.vm_id in seen]
        if hidden := len(disk.shares.all()) - len(names):
            names.append(ngettext("%(count)d machine", "%(count)d machines", hidden) % {"count": hidden})
        found[disk.pk] = ", ".join(names) or (_("shared, by nobody yet") if disk.shared else "")
    return found


def sharing(disk: FloatingDisk) -> Action:
    """Its image is written anew, which takes a while and needs room."""
    if disk.shared:
        text = _("Its image is written anew as qcow2. No machine may have it meanwhile.")
        return Action(
            _("Share no more"), reverse("portal:floating-share", args=[disk.pk]), "plug-connected-x", confirm=text,
            fields={"shared": "no"},
        )  # fmt: skip
    text = _("Its image is written anew as raw. A shared disk has no snapshots and is not backed up.")
    return Action(_("Share"), reverse("portal:floating-share", args=[disk.pk]), "plug-connected", confirm=text)


def shared_disks_of(vm: VirtualMachine, able: bool) -> list[Related]:
    """Nothing for a machine that has none."""
    shares = list(vm.disk_shares.select_related("disk__storage"))
    if not shares:
        return []
    row = pending.of(vm)
    rows = [
        Row(
            [
                Cell(share.target, under=share.disk.name), Cell(bytesize(share.disk.size_bytes)),
                Cell(_("read-only") if share.read_only else _("read and written")),
                Cell(mark=_mark(share, gone=bool(pending.of_part(row, share).get("gone")))),
            ],
            [
                Action(
                    _("Take it away"), reverse("portal:shared-disk-delete", args=[vm.pk, share.pk]), "logout",
                    confirm=_("The guest is asked to let it go. The disk stays, and the others keep it."),
                )
            ]
            if able else (),
        )
        for share in shares
    ]  # fmt: skip
    heads = [_("Disk"), _("Size"), _("Its guest"), _("State")]
    return [Related(_("Shared disks"), heads, rows, _("It has none."), acting=True)]


def _mark(share: DiskShare, *, gone: bool) -> Mark:
    if not share.plugged:
        return Mark(_("Comes"), "warn")
    return Mark(_("Goes"), "warn") if gone else Mark(_("Plugged in"), "good")


class ShareForm(StyledForm):
    disk = forms.ModelChoiceField(
        label=gettext_lazy("Disk"), queryset=FloatingDisk.objects.none(),
        help_text=gettext_lazy("Shared ones. Its guests need a file system that can be had by several at once."),
    )  # fmt: skip
    read_only = forms.BooleanField(label=gettext_lazy("Read-only"), required=False)
    now = forms.BooleanField(
        label=gettext_lazy("Now, while it runs"), required=False, initial=True,
        help_text=gettext_lazy("Otherwise, and where its run cannot have it, at its next start."),
    )  # fmt: skip


class NewShare(FormPage):
    def form(self, data: Any, pk: Any) -> ShareForm:
        vm, form = self._vm(pk), ShareForm(data)
        rows = FloatingDisk.objects.filter(shared=True, storage__cluster=vm.cluster_id).exclude(shares__vm=vm)
        offer(form, "disk", visible_to(self.actor, rows, "disk.manage"))
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:
        attach_shared_disk(actor=self.actor, vm=self._vm(pk), **values)
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        vm = self._vm(pk)
        return {
            "title": _("Attach a shared disk to %(name)s") % {"name": vm.title or vm.name},
            "under": _("It is plugged in at once when the machine runs."),
            "submit": _("Attach it"),
            "back_url": reverse("portal:vm-disks", args=[pk]),
            "back_label": _("Disks and snapshots"),
        }

    def _vm(self, pk: Any) -> VirtualMachine:
        return find(self.actor, VirtualMachine, pk, "vm.edit")


class TakeAway(Deed):
    def do(self, pk: Any, share: Any) -> HttpResponse:
        vm = find(self.actor, VirtualMachine, pk)
        found = vm.disk_shares.select_related("vm", "disk").filter(pk=share).first()
        if found is None:
            raise Missing(N_("There is no such object."), fix=N_("Go back to the list; it may have been removed."))
        detach_shared_disk(actor=self.actor, share=found)
        return done(self.request, _("The disk is being taken away."))


class Share(Deed):
    def do(self, pk: Any) -> HttpResponse:
        shared = self.request.POST.get("shared") != "no"
        share_disk(actor=self.actor, disk=find(self.actor, FloatingDisk, pk), shared=shared)
        return done(self.request, _("The disk is being written anew."))
