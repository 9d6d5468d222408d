"""iSCSI before there is a storage: a look at a portal as a job, what it found, and the choice of LUNs."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor
from broker.access.require import find, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.find_luns import find_luns
from broker.virt.iscsi.session import address
from broker.virt.models import Cluster
from broker.virt.storage_rules import MOST_PORTALS
from portal.templatetags.berth import bytesize
from portal.web import lun_words
from portal.web.base import Page
from portal.web.checks import Checks
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer
from portal.web.parts import Action, Cell, Notice, Pair, Related, Row, stored_sentences
from portal.web.words import JOB, Mark

MOST_OFFERED = 8  # targets with a button of their own


def _password(label: Any, **more: Any) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "new-password"})
    return forms.CharField(label=label, max_length=255, strip=False, widget=widget, **more)


class PortalForm(StyledForm):
    cluster = forms.ModelChoiceField(label=gettext_lazy("Cluster"), queryset=Cluster.objects.none())
    portal = forms.CharField(
        label=gettext_lazy("Portal"), max_length=255, help_text=gettext_lazy("e.g. 192.0.2.10, or with a port.")
    )
    user = forms.CharField(label=gettext_lazy("CHAP user"), max_length=223, required=False)
    password = _password(
        gettext_lazy("CHAP password"), required=False, help_text=gettext_lazy("Forgotten when the look has ended.")
    )

    def __init__(self, *args: Any, actor: Actor, **kwargs: Any):
        super().__init__(*args, **kwargs)
        offer(self, "cluster", visible_to(actor, Cluster, "storage.manage"))


class LookForLuns(FormPage):
    verb = "storage.manage"

    def form(self, data: Any) -> PortalForm:
        return PortalForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        return reverse("portal:luns-found", args=[find_luns(actor=self.actor, **values).pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("Look for LUNs"),
            "under": _("Asks an iSCSI portal for its targets, their LUNs and what is on them. Nothing is written."),
            "submit": _("Look"),
            "back_url": reverse("portal:storage"),
            "back_label": _("Storage"),
        }


class FoundLuns(Page):
    """What a look found; while it is under way, that it is."""

    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        job, cluster = _look(self.actor, pk)
        found = job.args.get("found") or []
        usable = [(number, one) for number, one in enumerate(found) if _choice(one)][:MOST_OFFERED]
        return {
            "title": _("LUNs at %(portal)s") % {"portal": job.args["portal"]},
            "mark": JOB[job.state],
            "under": cluster.name,
            "notices": _notices(job, found),
            "back_url": reverse("portal:storage"),
            "back_label": _("Storage"),
            "live_kinds": f"job:{job.pk}",
            "actions": [
                *(
                    Action(_("Use %(target)s") % {"target": _short(one["name"])},
                           reverse("portal:luns-use", args=[job.pk, number]), "plus", link=True)
                    for number, one in usable
                ),
                Action(_("Look again"), reverse("portal:luns"), "search", link=True),
            ],
            "details": [
                Pair(_("Portal"), job.args["portal"]),
                Pair(_("CHAP user"), job.args["user"] or "–"),
                Pair(_("Cluster"), cluster.name),
                Pair(_("Looked"), moment=job.finished_at or job.created_at),
                Pair(_("Job"), _("how it went"), url=reverse("portal:job", args=[job.pk])),
            ],
            "relateds": [_target(one) for one in found],
        }  # fmt: skip


class LunsForm(StyledForm):
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=64,
        help_text=gettext_lazy("Letters, digits, dots, hyphens and underscores."),
    )  # fmt: skip
    luns = forms.TypedMultipleChoiceField(
        label=gettext_lazy("LUNs"), coerce=int, widget=Checks(),
        help_text=gettext_lazy("The lowest is for Berth's own table (16 MiB are enough), each other one for a disk."),
    )  # fmt: skip
    server = forms.CharField(
        label=gettext_lazy("Portals"), max_length=255,
        help_text=gettext_lazy("One to four, with commas between them; all hosts and workers must reach them."),
    )  # fmt: skip
    password = _password(gettext_lazy("CHAP password"))

    def __init__(self, *args: Any, target: dict[str, Any], user: str, **kwargs: Any):
        super().__init__(*args, **kwargs)
        luns = self.fields["luns"]
        assert isinstance(luns, forms.TypedMultipleChoiceField)
        luns.choices = [(one["lun"], _label(one)) for one in _choice(target)]
        luns.initial = [one["lun"] for one in _choice(target)]
        if user:
            self.fields["password"].help_text = _("Of %(user)s.") % {"user": user}
        else:
            del self.fields["password"]


class UseLuns(FormPage):
    def form(self, data: Any, pk: Any, number: int) -> LunsForm:
        job, target = self._target(pk, number)
        portals = {address(one): one for one in [*reversed(target["portals"]), job.args["portal"]]}
        initial = {"server": ", ".join([*reversed(portals.values())][:MOST_PORTALS])}
        return LunsForm(data, target=target, user=job.args["user"], initial=initial)

    def make(self, values: dict[str, Any], pk: Any, number: int) -> str:
        job, target = self._target(pk, number)
        storage = create_storage(
            actor=self.actor, cluster=find(self.actor, Cluster, job.subject_id), kind="iscsi", export=target["name"],
            user=job.args["user"], **values,
        )  # fmt: skip
        return reverse("portal:storage-one", args=[storage.pk])

    def words(self, pk: Any, number: int) -> dict[str, Any]:
        job, target = self._target(pk, number)
        return {
            "title": _("New iSCSI storage"),
            "under": target["name"],
            "submit": _("Add the storage"),
            "back_url": reverse("portal:luns-found", args=[pk]),
            "back_label": _("LUNs at %(portal)s") % {"portal": job.args["portal"]},
        }

    def _target(self, pk: Any, number: int) -> tuple[Job, dict[str, Any]]:
        job, _cluster = _look(self.actor, pk)
        found = job.args.get("found") or []
        if not 0 <= number < len(found):
            raise _missing()
        return job, found[number]


def _look(actor: Actor, pk: Any) -> tuple[Job, Cluster]:
    """The look, for those who may make storage of what it found."""
    job = Job.objects.filter(pk=pk, plan="cluster.look-iscsi").first()
    if job is None:
        raise _missing()
    return job, find(actor, Cluster, job.subject_id, "storage.manage")


def _missing() -> Missing:
    return Missing(N_("There is no such look."), fix=N_("Look for LUNs again."))


def _notices(job: Job, found: list[Any]) -> list[Notice]:
    if job.active:
        return [Notice(_("The portal is being asked."), _("This page shows what was found by itself."), "idle")]
    if job.state != "succeeded":
        return [Notice(job.cause or _("The look was cancelled."), job.fix, "bad")]
    if not found:
        return [Notice(_("The portal has no targets for us."), _("Check whom its targets admit."))]
    return []


def _target(found: dict[str, Any]) -> Related:
    told = _("It has no LUNs.")
    if found["problem"]:
        told = " ".join(stored_sentences(found["problem"]))
    heads = [_("LUN"), _("Size"), _("What is on it"), _("State")]
    return Related(found["name"], heads, [_row(one) for one in found["luns"]], told)


def _row(lun: dict[str, Any]) -> Row:
    mark = Mark(_("Free"), "good") if lun_words.takeable(lun) else Mark(_("In use"), "warn")
    return Row([
        Cell(str(lun["lun"])), Cell(bytesize(lun["size"])), Cell(lun_words.content(lun), under=lun_words.holder(lun)),
        Cell(mark=mark),
    ])  # fmt: skip


def _choice(target: dict[str, Any]) -> list[dict[str, Any]]:
    """The LUNs that may be taken; one alone is of no use."""
    free = [one for one in target["luns"] if lun_words.takeable(one)]
    return free if len(free) > 1 else []


def _label(lun: dict[str, Any]) -> str:
    size, on = bytesize(lun["size"]), lun_words.content(lun)
    return _("%(lun)s · %(size)s · %(on)s") % {"lun": lun["lun"], "size": size, "on": on}


def _short(target: str) -> str:
    """Names of targets begin alike; people tell them by their ends."""
    return target.rpartition(":")[2] or target
