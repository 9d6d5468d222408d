"""Left-over files on the page of a storage: what the last look found, and the ways to look and to remove."""

from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find
from broker.jobs.models import Job
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.models import StorageDomain
from portal.templatetags.berth import bytesize
from portal.web.base import Deed, done
from portal.web.parts import Action, Cell, Related, Row

MOST_SHOWN = 50


def leftovers(storage: StorageDomain) -> Related:
    """One query."""
    job = Job.objects.filter(
        plan="storage.tidy", subject_kind="storage", subject_id=storage.pk, state="succeeded"
    ).first()
    told = _("Nobody has looked yet.") if job is None else _("Something refers to every file.")
    found = [] if job is None else job.args.get("found", [])[:MOST_SHOWN]
    heads = [_("Left-over file"), _("Size")]
    return Related(_("Left-over files"), heads, [_row(storage, one) for one in found], told, acting=True)


def _row(storage: StorageDomain, one: dict[str, Any]) -> Row:
    text = _("The file %(name)s is removed for good. Berth looks once more whether something refers to it.")
    remove = Action(
        _("Remove"), _address(storage), "trash", danger=True, confirm=text % {"name": one["name"]},
        fields={"remove": one["name"]},
    )  # fmt: skip
    adopt = Action(
        _("Make a disk of it"), reverse("portal:storage-adopt-file", args=[storage.pk]), "device-sd-card",
        fields={"file": one["name"]},
    )  # fmt: skip
    return Row([Cell(one["name"]), Cell(bytesize(one["size"]))], [adopt, remove])


def look_action(storage: StorageDomain) -> Action:
    return Action(_("Look for left-over files"), _address(storage), "help-circle")


def _address(storage: StorageDomain) -> str:
    return reverse("portal:storage-tidy", args=[storage.pk])


class Tidy(Deed):
    def do(self, pk: Any) -> HttpResponse:
        chosen = self.request.POST.getlist("remove")
        tidy_storage(actor=self.actor, storage=find(self.actor, StorageDomain, pk), remove=chosen)
        return done(self.request, _("The storage is being looked at."))
