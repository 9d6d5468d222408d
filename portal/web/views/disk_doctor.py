"""The chain doctor on the page of a machine's disks: what was found last, and the ways to look and to repair."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.jobs.models import Job
from broker.virt.actions.examine_disks import examine_disks
from broker.virt.models import VirtualMachine
from portal.web.base import Deed, done
from portal.web.parts import Action, Cell, Related, Row
from portal.web.words import Mark


def examination(vm: VirtualMachine) -> Related:
    """The findings of the last look: one query."""
    job = Job.objects.filter(plan="vm.examine", subject_kind="vm", subject_id=vm.pk, state="succeeded").first()
    rows = [] if job is None else [*_rows(job, "mended"), *_rows(job, "findings")]
    told = _("Nobody has looked yet.") if job is None else _("Database, files and hypervisor agree.")
    return Related(_("Last examination"), [_("Disk"), _("State"), _("What differs")], rows, told)


def _rows(job: Job, name: str) -> list[Row]:
    mark = Mark(_("Repaired"), "good") if name == "mended" else Mark(_("Differs"), "bad")
    return [
        Row([
            Cell(one["target"]), Cell(mark=mark),
            Cell(_(one["text"]) % one["params"], under="" if name == "mended" else _(one["fix"]) % one["params"]),
        ])
        for one in job.args.get(name, [])
    ]  # fmt: skip


def examine_actions(vm: VirtualMachine) -> list[Action]:
    address = reverse("portal:disks-examine", args=[vm.pk])
    text = _("Only its definition on the host is written anew, where that is wrong; no image is touched.")
    return [
        Action(_("Examine"), address, "help-circle"),
        Action(_("Repair"), address, "settings", confirm=text, fields={"mend": "yes"}),
    ]


class Examine(Deed):
    def do(self, pk: Any) -> HttpResponse:
        mend = self.request.POST.get("mend") == "yes"
        examine_disks(actor=self.actor, vm=find(self.actor, VirtualMachine, pk), mend=mend)
        return done(self.request, _("Its disks are being examined."))
