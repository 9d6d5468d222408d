"""Placement in a cluster: its rules, its affinity groups, what if a host failed, and what balancing would move."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.core.tables import Setting, complete
from broker.virt.actions.create_affinity_group import create_affinity_group
from broker.virt.actions.delete_affinity_group import delete_affinity_group
from broker.virt.actions.edit_affinity_group import edit_affinity_group
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.balancing import AT_ONCE, is_automatic
from broker.virt.models import AffinityGroup, Cluster, Host, VirtualMachine
from broker.virt.placement.balance import balance
from broker.virt.placement.cpu import baseline
from broker.virt.placement.gather import picture_of
from broker.virt.placement.policy import SETTINGS
from broker.virt.placement.recover import Outcome, what_if
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.parts import Action, Cell, Notice, Pair, Related, Row

from .removals import removal

RULE = {
    "": gettext_lazy("no rule"),
    "together": gettext_lazy("together, or on these hosts"),
    "apart": gettext_lazy("apart, or not on these hosts"),
}


def _field(one: Setting) -> forms.Field:
    words: dict[str, Any] = {"label": _(one.title), "help_text": _(one.help) if one.help else ""}
    if isinstance(one.default, bool):
        return forms.BooleanField(required=False, **words)
    if isinstance(one.default, int):
        return forms.IntegerField(min_value=one.least, max_value=one.most, **words)
    if one.choices:
        return forms.ChoiceField(choices=[(value, _(label)) for value, label in one.choices], **words)
    return forms.CharField(required=False, max_length=one.longest or 64, **words)


class Rules(FormPage):
    """The cluster's scheduling policy and its parameters."""

    def form(self, data: Any, pk: Any) -> StyledForm:
        row = find(self.actor, Cluster, pk, "cluster.manage")
        return table_form(SETTINGS, row.rules, data)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_cluster(actor=self.actor, cluster=find(self.actor, Cluster, pk), rules=values)
        return reverse("portal:cluster", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk)
        level = baseline(picture_of(row).hosts.values())
        hint = _("All its hosts offer the processor level %(level)s.") % {"level": level} if level else ""
        return {
            "title": _("Placement in %(name)s") % {"name": row.name},
            "under": hint,
            "submit": _("Save"),
            "back_url": reverse("portal:cluster", args=[pk]),
            "back_label": row.name,
        }


def table_form(table: Iterable[Setting], stored: dict[str, Any], data: Any) -> StyledForm:
    """A form with one field for each setting of a table, filled with what holds now."""
    fields = {one.name: _field(one) for one in table}
    return type("SettingsForm", (StyledForm,), fields)(data, initial=complete(table, stored))  # type: ignore[no-any-return]


class GroupForm(StyledForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    machines = forms.ModelMultipleChoiceField(
        label=gettext_lazy("Machines"), queryset=VirtualMachine.objects.none(), required=False
    )
    machine_label = forms.CharField(label=gettext_lazy("Machines with this label"), max_length=64, required=False)
    same_owner = forms.BooleanField(
        label=gettext_lazy("Among machines of the same owner"), required=False,
        help_text=gettext_lazy("Without machines or a label: among all machines of each owner."),
    )  # fmt: skip
    machine_rule = forms.ChoiceField(label=gettext_lazy("Its machines are"), choices=list(RULE.items()), required=False)
    machine_hard = forms.BooleanField(label=gettext_lazy("A demand, not a wish"), required=False, initial=True)
    hosts = forms.ModelMultipleChoiceField(label=gettext_lazy("Hosts"), queryset=Host.objects.none(), required=False)
    host_label = forms.CharField(label=gettext_lazy("Hosts with this label"), max_length=64, required=False)
    host_rule = forms.ChoiceField(label=gettext_lazy("Machines and hosts"), choices=list(RULE.items()), required=False)
    host_hard = forms.BooleanField(label=gettext_lazy("A demand, not a wish "), required=False, initial=True)


def _choices(form: GroupForm, actor: Any, cluster: Cluster) -> GroupForm:
    for name, model in (("machines", VirtualMachine), ("hosts", Host)):
        field = form.fields[name]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        field.queryset = visible_to(actor, model).filter(cluster=cluster)
    return form


class Groups(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk, "cluster.manage")
        groups = AffinityGroup.objects.filter(cluster=row).prefetch_related("machines", "hosts")
        new = Action(_("New affinity group"), reverse("portal:group-of-cluster-new", args=[pk]), "plus", link=True)
        return {
            "title": _("Affinity groups"),
            "under": _("Machines that belong together or apart, or on certain hosts."),
            "back_url": reverse("portal:cluster", args=[pk]),
            "back_label": row.name,
            "live_kinds": f"cluster:{row.pk}",
            "actions": [new],
            "details": [Pair(_("Groups"), str(len(groups)))],
            "relateds": [
                Related(
                    _("Affinity groups"), [_("Name"), _("Machines"), _("Machines are"), _("Hosts"), _("And hosts")],
                    [Row(_cells(one), _group_actions(one)) for one in groups],
                    _("No group yet: machines go wherever there is room."), acting=True,
                )
            ],
        }  # fmt: skip


def _cells(one: AffinityGroup) -> list[Cell]:
    machines = [vm.name for vm in one.machines.all()]
    hosts = [host.name for host in one.hosts.all()]
    return [
        Cell(one.name, under=_("per owner") if one.same_owner else ""),
        Cell(", ".join([*machines, *([f"#{one.machine_label}"] if one.machine_label else [])]) or "–"),
        Cell(RULE[one.machine_rule], under=_hard(one.machine_rule, one.machine_hard)),
        Cell(", ".join([*hosts, *([f"#{one.host_label}"] if one.host_label else [])]) or "–"),
        Cell(RULE[one.host_rule], under=_hard(one.host_rule, one.host_hard)),
    ]


def _hard(rule: str, hard: bool) -> str:
    return "" if not rule else _("demanded") if hard else _("wished")


def _group_actions(one: AffinityGroup) -> list[Action]:
    edit = reverse("portal:affinity-group-edit", args=[one.pk])
    return [
        Action(_("Edit %(name)s") % {"name": one.name}, edit, "edit", link=True),
        removal(_("Remove %(name)s") % {"name": one.name}, "affinity-group-delete", one,
                _("Its machines stay where they are.")),
    ]  # fmt: skip


class NewGroup(FormPage):
    def form(self, data: Any, pk: Any) -> GroupForm:
        return _choices(GroupForm(data), self.actor, find(self.actor, Cluster, pk, "cluster.manage"))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        create_affinity_group(actor=self.actor, cluster=find(self.actor, Cluster, pk), **values)
        return reverse("portal:groups-of-cluster", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        return {
            "title": _("New affinity group"),
            "submit": _("Make the group"),
            "back_url": reverse("portal:groups-of-cluster", args=[pk]),
            "back_label": _("Affinity groups"),
        }


class EditGroup(FormPage):
    def form(self, data: Any, pk: Any) -> GroupForm:
        row = find(self.actor, AffinityGroup, pk, "cluster.manage")
        initial = {name: getattr(row, name) for name in GroupForm.base_fields if name not in ("machines", "hosts")}
        initial |= {"machines": row.machines.all(), "hosts": row.hosts.all()}
        return _choices(GroupForm(data, initial=initial), self.actor, row.cluster)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        row = find(self.actor, AffinityGroup, pk, "cluster.manage")
        edit_affinity_group(actor=self.actor, group=row, **values)
        return reverse("portal:groups-of-cluster", args=[row.cluster_id])

    def words(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, AffinityGroup, pk, "cluster.manage")
        return {
            "title": _("Edit %(name)s") % {"name": row.name},
            "submit": _("Save"),
            "back_url": reverse("portal:groups-of-cluster", args=[row.cluster_id]),
            "back_label": _("Affinity groups"),
        }


class DeleteGroup(Deed):
    def do(self, pk: Any) -> HttpResponse:
        row = find(self.actor, AffinityGroup, pk, "cluster.manage")
        delete_affinity_group(actor=self.actor, group=row)
        back = reverse("portal:groups-of-cluster", args=[row.cluster_id])
        return done(self.request, _("The group was removed."), to=back, leave=True)


class WhatIf(Page):
    """For each host: what would become of its machines if it died this moment."""

    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk, "cluster.manage")
        picture = picture_of(row)
        hosts = sorted(picture.hosts.values(), key=lambda host: host.name)
        outcomes = [(host, what_if(picture, [host.id])) for host in hosts]
        short = [host.name for host, outcome in outcomes if outcome.waiting]
        return {
            "title": _("If a host failed"),
            "under": _("What would become of its machines, as things are now. Nothing is changed by looking."),
            "back_url": reverse("portal:cluster", args=[pk]),
            "back_label": row.name,
            "live_kinds": f"cluster:{row.pk}",
            "details": [
                Pair(_("Hosts"), str(len(hosts))),
                Pair(_("Without room"), ", ".join(short) or _("none")),
            ],
            "relateds": [_fate(host.name, outcome) for host, outcome in outcomes],
        }


def _fate(host: str, outcome: Outcome) -> Related:
    rows = [
        Row([Cell(one.machine.name), Cell(_("restarted on %(host)s") % {"host": one.host.name if one.host else ""})])
        for one in outcome.restarts
    ]
    rows += [
        Row([Cell(one.machine.name), Cell(_("waits for room"), under="; ".join(
            f"{reason.subject}: {_(reason.template) % reason.params}" for reason in one.reasons[:5]
        ))])
        for one in outcome.waiting
    ]  # fmt: skip
    rows += [Row([Cell(one.name), Cell(_("stays off: it is not highly available"))]) for one in outcome.stopped]
    return Related(_("If %(host)s failed") % {"host": host}, [_("Machine"), _("Then")], rows, _("Nothing runs there."))


class Rehearsal(Page):
    """What balancing would do now."""

    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk, "cluster.manage")
        picture = picture_of(row)
        moves = balance(picture)
        policy = dict(SETTINGS[0].choices)[picture.policy.policy]
        return {
            "title": _("What balancing would move"),
            "under": _("By the cluster's policy and affinity groups, as things are now."),
            "notices": [Notice(_by_itself())] if is_automatic(row) else [],
            "back_url": reverse("portal:cluster", args=[pk]),
            "back_label": row.name,
            "live_kinds": f"cluster:{row.pk}",
            "details": [
                Pair(_("Policy"), _(policy)),
                Pair(_("Balancing"), _(dict(SETTINGS[1].choices)[picture.policy.balancing])),
            ],
            "relateds": [
                Related(
                    _("Migrations"), [_("Machine"), _("From"), _("To"), _("Why")],
                    [
                        Row([
                            Cell(move.machine.name), Cell(move.source.name), Cell(move.target.name),
                            Cell(_(move.why) % dict(move.params)),
                        ])
                        for move in moves
                    ],
                    _("Nothing: all is as it should be."),
                )
            ],
        }  # fmt: skip


def _by_itself() -> str:
    return _(
        "These are begun by themselves, %(most)s at once, when nothing else moves and the load was measured anew."
    ) % {"most": AT_ONCE}


def cluster_actions(row: Cluster) -> list[Action]:
    """What the page of a cluster leads to."""
    return [
        Action(_("Availability"), reverse("portal:cluster-availability", args=[row.pk]), "activity", link=True),
        Action(_("Placement"), reverse("portal:cluster-rules", args=[row.pk]), "adjustments", link=True),
        Action(_("Affinity"), reverse("portal:groups-of-cluster", args=[row.pk]), "pin", link=True),
        Action(_("If a host failed"), reverse("portal:cluster-what-if", args=[row.pk]), "alert-triangle", link=True),
        Action(_("Balancing"), reverse("portal:cluster-balance", args=[row.pk]), "refresh", link=True),
    ]
