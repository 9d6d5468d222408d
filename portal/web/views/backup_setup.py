"""When machines are backed up and where to: schedules and targets, with their forms."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.dates import WEEKDAYS_ABBR
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from broker.access.require import require, visible_to
from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_schedule import create_schedule
from broker.backups.actions.create_target import create_target
from broker.backups.actions.delete_schedule import delete_schedule
from broker.backups.actions.delete_target import delete_target
from broker.backups.actions.edit_schedule import edit_schedule
from broker.backups.models import BackupSchedule, BackupTarget
from broker.backups.queries import schedules_for, targets_for
from broker.core.errors import BerthError, Missing
from broker.core.text import gettext_noop as N_
from broker.virt.models import Cluster, Host, StorageDomain, VirtualMachine
from portal.web.base import Deed, Page, done
from portal.web.checks import Checks
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm, offer
from portal.web.parts import Action, Cell, Pair, Related, Row

TIME = "%H:%M"
NUMBERS = ("full_every", "keep_last", "keep_daily", "keep_weekly", "keep_monthly")


class TargetForm(StyledForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    cluster = forms.ModelChoiceField(label=gettext_lazy("Cluster"), queryset=Cluster.objects.none())
    path = forms.CharField(
        label=gettext_lazy("Directory on the hosts"), max_length=255, required=False,
        help_text=gettext_lazy("Best not on the disk that the backups are to save you from."),
    )  # fmt: skip
    host = forms.ModelChoiceField(
        label=gettext_lazy("Host"), queryset=Host.objects.none(), required=False,
        empty_label=gettext_lazy("all hosts see the same directory"),
    )  # fmt: skip
    storage = forms.ModelChoiceField(
        label=gettext_lazy("Storage instead of a directory"), queryset=StorageDomain.objects.none(), required=False,
        empty_label=gettext_lazy("none"),
    )  # fmt: skip


class ScheduleForm(StyledForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    target = forms.ModelChoiceField(label=gettext_lazy("Target"), queryset=BackupTarget.objects.none())
    enabled = forms.BooleanField(label=gettext_lazy("Switched on"), required=False, initial=True)
    vms = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Machines"), queryset=VirtualMachine.objects.none(), required=False
    )
    days = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Days"), choices=[(day, name) for day, name in sorted(WEEKDAYS_ABBR.items())], coerce=int,
        widget=Checks, initial=list(range(7)),
    )  # fmt: skip
    at = forms.TimeField(
        label=gettext_lazy("At"), widget=forms.TimeInput(attrs={"type": "time"}, format=TIME), initial="02:00"
    )
    zone = forms.CharField(label=gettext_lazy("Time zone"), max_length=64, initial="UTC")
    full_every = forms.IntegerField(
        label=gettext_lazy("Each so-many-th is a full one"), min_value=1, max_value=100, initial=7
    )
    keep_last = forms.IntegerField(label=gettext_lazy("Keep the last"), min_value=1, max_value=1000, initial=3)
    keep_daily = forms.IntegerField(label=gettext_lazy("Keep one a day, days"), min_value=0, max_value=366, initial=7)
    keep_weekly = forms.IntegerField(
        label=gettext_lazy("Keep one a week, weeks"), min_value=0, max_value=260, initial=4
    )
    keep_monthly = forms.IntegerField(
        label=gettext_lazy("Keep one a month, months"), min_value=0, max_value=120, initial=6
    )


class Setup(Page):
    template = "portal/manage/detail.html"

    def content(self) -> dict[str, Any]:
        targets, schedules = list(targets_for(self.actor)), list(schedules_for(self.actor).prefetch_related("vms"))
        able = [cluster.pk for cluster in visible_to(self.actor, Cluster, "backup.manage")]
        new = [
            Action(_("New schedule"), reverse("portal:backup-schedule-new"), "plus", link=True),
            Action(_("New target"), reverse("portal:backup-target-new"), "database", link=True),
        ]
        return {
            "title": _("Schedules and targets"),
            "under": _("When machines are backed up, where to, and what is kept."),
            "back_url": reverse("portal:backups"),
            "back_label": _("Backups"),
            "live_kinds": "backup-schedule backup-target",
            "actions": new if able else [],
            "details": [Pair(_("Schedules"), str(len(schedules))), Pair(_("Targets"), str(len(targets)))],
            "relateds": [
                Related(
                    _("Schedules"), [_("Name"), _("Machines"), _("Kept"), _("Next")],
                    [_schedule(one, one.target.cluster_id in able) for one in schedules],
                    _("None yet: machines are backed up only when somebody asks."), acting=True,
                ),
                Related(
                    _("Targets"), [_("Name"), _("Cluster"), _("Where")],
                    [_target(one, one.cluster_id in able) for one in targets],
                    _("None yet: name a storage or a directory first."), acting=True,
                ),
            ],
            "events": None,
        }  # fmt: skip


def _schedule(one: BackupSchedule, able: bool) -> Row:
    days = ", ".join(str(WEEKDAYS_ABBR[day]) for day in one.days)
    kept = _("last %(last)s, %(days)s days, %(weeks)s weeks, %(months)s months") % {
        "last": one.keep_last, "days": one.keep_daily, "weeks": one.keep_weekly, "months": one.keep_monthly,
    }  # fmt: skip
    cells = [
        Cell(one.name, under=f"{days} · {one.at:%H:%M} {one.zone} → {one.target.name}"),
        Cell(len(one.vms.all())),
        Cell(kept),
        Cell(f"{one.next_run_at:%Y-%m-%d %H:%M} UTC") if one.next_run_at else Cell(_("switched off")),
    ]
    if not able:
        return Row(cells)
    run = _("All its machines are backed up now, beside the times of the schedule.")
    gone = _("The schedule is removed. The backups it made stay until somebody deletes them.")
    return Row(
        cells,
        [
            Action(_("Run now"), reverse("portal:backup-schedule-run", args=[one.pk]), "player-play", confirm=run),
            Action(_("Edit"), reverse("portal:backup-schedule-edit", args=[one.pk]), "edit", link=True),
            Action(_("Delete"), reverse("portal:backup-schedule-delete", args=[one.pk]), "trash", True, gone),
        ],
    )


def _target(one: BackupTarget, able: bool) -> Row:
    if one.storage:
        where = Cell(one.storage.name, under=_("storage"))
    else:
        where = Cell(one.path, under=one.host.name if one.host else _("all hosts"))
    gone = _("Berth forgets the target. Refused while it holds backups.")
    delete = Action(_("Delete"), reverse("portal:backup-target-delete", args=[one.pk]), "trash", True, gone)
    return Row([Cell(one.name), Cell(one.cluster.name), where], [delete] if able else [])


class NewTarget(FormPage):
    verb = "backup.manage"

    def form(self, data: Any) -> TargetForm:
        form = TargetForm(data)
        offer(form, "cluster", visible_to(self.actor, Cluster, "backup.manage"))
        offer(form, "host", visible_to(self.actor, Host))
        offer(form, "storage", visible_to(self.actor, StorageDomain))
        return form

    def make(self, values: dict[str, Any]) -> str:
        create_target(actor=self.actor, **values)
        return reverse("portal:backup-setup")

    def words(self) -> dict[str, Any]:
        return _words(_("New target"), _("A storage, or a directory of its own."), _("Make it"))


class NewSchedule(FormPage):
    verb = "backup.manage"

    def form(self, data: Any) -> ScheduleForm:
        form = ScheduleForm(data)
        clusters = visible_to(self.actor, Cluster, "backup.manage").order_by().values("pk")
        offer(form, "target", targets_for(self.actor).filter(cluster__in=clusters))
        self._finish(form)
        return form

    def _finish(self, form: ScheduleForm) -> None:
        offer(form, "vms", visible_to(self.actor, VirtualMachine, "vm.backup"))

    def make(self, values: dict[str, Any], **kwargs: Any) -> str:
        create_schedule(actor=self.actor, **{**values, "vms": list(values["vms"])})
        return reverse("portal:backup-setup")

    def words(self, **kwargs: Any) -> dict[str, Any]:
        return _words(_("New schedule"), _("A time that passed while Berth was down is made up for."), _("Make it"))


class EditSchedule(NewSchedule):
    def form(self, data: Any, pk: Any) -> ScheduleForm:  # type: ignore[override]
        row = schedule_of(self, pk)
        initial = {name: getattr(row, name) for name in ("name", "enabled", "days", "at", "zone", *NUMBERS)}
        form = ScheduleForm(data, initial={**initial, "vms": list(row.vms.values_list("pk", flat=True))})
        del form.fields["target"]
        self._finish(form)
        return form

    def make(self, values: dict[str, Any], pk: Any) -> str:  # type: ignore[override]
        edit_schedule(actor=self.actor, schedule=schedule_of(self, pk), **{**values, "vms": list(values["vms"])})
        return reverse("portal:backup-setup")

    def words(self, pk: Any) -> dict[str, Any]:  # type: ignore[override]
        return _words(_("Edit %(name)s") % {"name": schedule_of(self, pk).name}, "", _("Save"))


class RunSchedule(Deed):
    """Back up each of its machines now; those that cannot be are named."""

    def do(self, pk: Any) -> HttpResponse:
        row = schedule_of(self, pk)
        begun, refused = 0, []
        for vm in visible_to(self.actor, VirtualMachine).filter(backup_schedules=row):
            try:
                back_up(actor=self.actor, vm=vm, target=row.target, schedule=row)
                begun += 1
            except BerthError as error:
                refused.append(f"{vm.name}: {error.message}")
        told = ngettext("%(count)d backup was begun.", "%(count)d backups were begun.", begun) % {"count": begun}
        return done(self.request, " ".join([told, *refused[:5]]))


class DeleteSchedule(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_schedule(actor=self.actor, schedule=schedule_of(self, pk))
        return done(self.request, _("The schedule was removed."))


class DeleteTarget(Deed):
    def do(self, pk: Any) -> HttpResponse:
        row = targets_for(self.actor).filter(pk=pk).first()
        if row is None:
            raise _missing()
        delete_target(actor=self.actor, target=row)
        return done(self.request, _("The target was removed."))


def schedule_of(page: Any, pk: Any) -> BackupSchedule:
    """The schedule, for one who may change it."""
    row = schedules_for(page.actor).filter(pk=pk).first()
    if row is None:
        raise _missing()
    require(page.actor, "backup.manage", row.target.cluster)
    return row


def _missing() -> Missing:
    return Missing(N_("There is no such object."), fix=N_("Go back to the list; it may have been removed."))


def _words(title: str, under: str, submit: str) -> dict[str, Any]:
    back = reverse("portal:backup-setup")
    return {"title": title, "under": under, "submit": submit, "back_url": back, "back_label": _("Schedules")}
