"""Clusters: the list, the page of one with its hosts, storage and networks, and the forms to make and change one."""

from typing import Any

from django import forms
from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.actor import Actor
from broker.access.require import find, may, visible_to
from broker.virt import macs
from broker.virt.actions.create_cluster import create_cluster
from broker.virt.actions.delete_cluster import delete_cluster
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.host_status import with_status
from broker.virt.models import Cluster, Host, Network, StorageDomain
from portal.context import holds
from portal.templatetags.berth import bytesize
from portal.web import words
from portal.web.access_page import permission_actions
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.listing import Column, Listing
from portal.web.parts import Action, Cell, Pair, Related, Row, recent_events

from .hosts import host_mark
from .inventory import MOST_RELATED
from .placement import cluster_actions
from .removals import removal

FEW_LEFT = 10  # addresses of a range: it is said how many


class ClusterForm(StyledForm):
    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=64,
        help_text=gettext_lazy("Letters, digits, dots, hyphens and underscores."),
    )  # fmt: skip
    description = forms.CharField(
        label=gettext_lazy("Description"), max_length=2000, required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    mac_ranges = forms.CharField(
        label=gettext_lazy("MAC ranges"), max_length=2000, required=False,
        widget=forms.Textarea(attrs={"rows": 2, "placeholder": "52:54:00:10:00:00-52:54:00:10:00:ff"}),
        help_text=gettext_lazy(
            "Of which addresses new network cards get theirs, one range a line; empty: they begin with 52:54:00. "
            "Machines keep the addresses they have."
        ),
    )  # fmt: skip


class Clusters(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "name"), Column(_("Hosts"), "host_count"), Column(_("Storage"), "storage_count"),
            Column(_("Networks"), "network_count"), Column(_("Machines"), "vm_count"),
        )  # fmt: skip
        rows = visible_to(self.actor, Cluster).annotate(
            host_count=Count("hosts", distinct=True), storage_count=Count("storage_domains", distinct=True),
            network_count=Count("networks", distinct=True), vm_count=Count("vms", distinct=True),
        )  # fmt: skip
        listing = Listing(self.request, rows, columns=columns, search=("name", "description"), order="name")
        return {
            "title": _("Clusters"),
            "empty": _("A cluster is the hosts among which machines are placed, with what they share."),
            "live_kinds": "cluster host",
            "new_url": reverse("portal:cluster-new") if holds(self.actor, "cluster.manage") else "",
            "new_label": _("New cluster"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(row.name, reverse("portal:cluster", args=[row.pk]), under=row.description.partition("\n")[0]),
                    Cell(row.host_count), Cell(row.storage_count), Cell(row.network_count), Cell(row.vm_count),
                ])
                for row in listing.page
            ],
        }  # fmt: skip


class ClusterOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk)
        hosts = with_status(visible_to(self.actor, Host)).filter(cluster=row)[:MOST_RELATED]
        storage = visible_to(self.actor, StorageDomain).filter(cluster=row)[:MOST_RELATED]
        networks = visible_to(self.actor, Network).filter(cluster=row)[:MOST_RELATED]
        return {
            "title": row.name,
            "under": row.description,
            "back_url": reverse("portal:clusters"),
            "back_label": _("Clusters"),
            "live_kinds": f"cluster:{row.pk} host storage network",
            "actions": [
                *permission_actions(self.actor, "cluster", row),
                *(_actions(row) if may(self.actor, "cluster.manage", row) else []),
            ],
            "details": [
                Pair(_("Hosts"), str(len(hosts))),
                Pair(_("Processors"), str(sum(host.cpus for host in hosts))),
                Pair(_("Memory"), bytesize(sum(host.memory_bytes for host in hosts))),
                Pair(_("Machines"), str(row.vms.count())),
            ],
            "relateds": [
                _table(_("Hosts"), [
                    Row([Cell(host.name, reverse("portal:host", args=[host.pk])), Cell(mark=host_mark(host))])
                    for host in hosts
                ]),
                _table(_("Storage"), [
                    Row([
                        Cell(one.name, reverse("portal:storage-one", args=[one.pk])),
                        Cell(_("%(size)s free") % {"size": bytesize(one.available_bytes)}),
                    ])
                    for one in storage
                ]),
                _table(_("Networks"), [
                    Row([
                        Cell(one.name, reverse("portal:network", args=[one.pk])),
                        Cell(words.NETWORK.get(one.kind, one.kind)),
                    ])
                    for one in networks
                ]),
                _macs(self.actor, row),
            ],
            "events": recent_events("cluster", row.pk),
        }  # fmt: skip


class NewCluster(FormPage):
    verb = "cluster.manage"

    def form(self, data: Any) -> ClusterForm:
        return ClusterForm(data)

    def make(self, values: dict[str, Any]) -> str:
        return reverse("portal:cluster", args=[create_cluster(actor=self.actor, **values).pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New cluster"),
            "under": _("Hosts among which machines are placed, with the storage and networks they share."),
            "submit": _("Make the cluster"),
            "back_url": reverse("portal:clusters"),
            "back_label": _("Clusters"),
        }


class EditCluster(FormPage):
    def form(self, data: Any, pk: Any) -> ClusterForm:
        row = find(self.actor, Cluster, pk, "cluster.manage")
        return ClusterForm(data, initial={name: getattr(row, name) for name in ClusterForm.base_fields})

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_cluster(actor=self.actor, cluster=find(self.actor, Cluster, pk), **values)
        return reverse("portal:cluster", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk)
        return {
            "title": _("Edit %(name)s") % {"name": row.name},
            "submit": _("Save"),
            "back_url": reverse("portal:cluster", args=[pk]),
            "back_label": row.name,
        }


class DeleteCluster(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_cluster(actor=self.actor, cluster=find(self.actor, Cluster, pk))
        return done(self.request, _("The cluster was removed."), to=reverse("portal:clusters"), leave=True)


def _actions(row: Cluster) -> list[Action]:
    text = _("This is refused while it has hosts, storage, networks, templates or machines.")
    return [
        *cluster_actions(row),
        Action(_("Live migration"), reverse("portal:cluster-migration", args=[row.pk]), "refresh", link=True),
        Action(_("Edit"), reverse("portal:cluster-edit", args=[row.pk]), "edit", link=True),
        removal(_("Remove"), "cluster-delete", row, text),
    ]


def _macs(actor: Actor, row: Cluster) -> Related:
    """Its ranges, how many of each are used, and who else takes of them."""
    ranges = macs.ranges_of(row)
    counts = macs.used(ranges)
    beside = visible_to(actor, Cluster).exclude(pk=row.pk).exclude(mac_ranges="") if ranges else []
    others = [(one.name, macs.ranges_of(one)) for one in beside]
    rows = []
    for one in ranges:
        shared = [name for name, theirs in others if any(one.overlaps(other) for other in theirs)]
        under = _("shared with %(names)s") % {"names": ", ".join(shared)} if shared else ""
        left = one.size - counts[one]
        mark = _("none is free") if not left else _("%(left)s free") % {"left": left} if left <= FEW_LEFT else ""
        use = Cell(_("%(used)s of %(size)s") % {"used": counts[one], "size": one.size}, under=mark)
        rows.append(Row([Cell(str(one), under=under), use]))
    none = _("No range is set: addresses of new network cards begin with 52:54:00.")
    return Related(_("MAC addresses"), [_("Range"), _("Used")], rows, none)


def _table(title: str, rows: list[Row]) -> Related:
    return Related(title, [_("Name"), _("State")], rows, _("None."))
