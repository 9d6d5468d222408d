"""Templates and networks: plain lists and the page of each."""

from typing import Any

from django.db.models import Count
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find, may, visible_to
from broker.virt.models import Guard, Network, Nic, TemplateVersion, VirtualMachine, VmTemplate
from broker.virt.network_rules import BRIDGED
from portal.context import holds
from portal.templatetags.berth import bytesize
from portal.web import words
from portal.web.access_page import permission_actions
from portal.web.base import Page
from portal.web.listing import Column, Listing
from portal.web.parts import Action, Cell, Pair, Related, Row, jobs_of, recent_events
from portal.web.version_page import hardware_of, makings, pools_of, told_of, version_state

from .removals import network_removal, template_removal, version_removal

MOST_RELATED = 100


class Templates(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "name"), Column(_("System"), "os_name"), Column(_("Cluster"), "cluster__name"),
            Column(_("Versions"), "version_count"), Column(_("Pools"), "pool_count"),
        )  # fmt: skip
        rows = visible_to(self.actor, VmTemplate).select_related("cluster").annotate(
            version_count=Count("versions", distinct=True), pool_count=Count("pools", distinct=True)
        )  # fmt: skip
        listing = Listing(self.request, rows, columns=columns, search=("name", "os_name", "description"), order="name")
        return {
            "title": _("Templates"),
            "empty": _("A template is what machines and pools are made from. Import an image to make one."),
            "live_kinds": "template template-version",
            "new_url": reverse("portal:template-new") if holds(self.actor, "template.create") else "",
            "new_label": _("New template"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(row.name, reverse("portal:template", args=[row.pk]), under=row.description.partition("\n")[0]),
                    Cell(row.os_name or "–"), Cell(row.cluster.name), Cell(row.version_count), Cell(row.pool_count),
                ])
                for row in listing.page
            ],
        }  # fmt: skip


class Template(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, VmTemplate, pk)
        versions = (
            TemplateVersion.objects.filter(template=row)
            .select_related("template", "storage")
            .annotate(used=Count("vms"))
            .order_by("-number")
        )
        manageable = may(self.actor, "template.manage", row)
        making = makings([version.pk for version in versions if version.made_from])
        under_way = jobs_of("template-version", [version.pk for version in versions])
        return {
            "title": row.name,
            "under": row.description,
            "back_url": reverse("portal:templates"),
            "back_label": _("Templates"),
            "live_kinds": f"template:{row.pk} template-version job",
            "actions": [
                *permission_actions(self.actor, "template", row), *(_template_actions(row) if manageable else []),
            ],
            "details": [Pair(_("System"), row.os_name or "–"), Pair(_("Cluster"), row.cluster.name)],
            "relateds": [
                Related(
                    _("Versions"),
                    [_("Version"), _("State"), _("Image and hardware"), _("Made")],
                    [
                        Row([
                            Cell(version.number),
                            version_state(version, making),
                            Cell(
                                f"{bytesize(version.size_bytes)} · {version.storage.name} · "
                                + hardware_of(version),
                                under=told_of(version, version.used),
                            ),
                            Cell(moment=version.created_at),
                        ], _version_actions(version, under_way, making) if manageable else [])
                        for version in versions
                    ],
                    _("No version yet."),
                    acting=manageable,
                ),
                pools_of(self.actor, row),
            ],
            "events": recent_events("template", row.pk),
        }  # fmt: skip


def _version_actions(version: TemplateVersion, under_way: Any, making: Any) -> list[Action]:
    if version.pk in under_way or version.pk in making:
        return []
    notes = reverse("portal:version-notes", args=[version.pk])
    label = _("Notes on %(version)s") % {"version": version}
    return [Action(label, notes, "edit", link=True), version_removal(version)]


def _template_actions(row: VmTemplate) -> list[Action]:
    address = reverse("portal:version-new", args=[row.pk])
    return [Action(_("Import a version"), address, "plus", link=True), template_removal(row)]


class Networks(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "name"), Column(_("Kind"), "kind"), Column(_("Subnet or bridge")),
            Column(_("Cluster"), "cluster__name"), Column(_("Cards"), "card_count"),
        )  # fmt: skip
        rows = visible_to(self.actor, Network).select_related("cluster").annotate(card_count=Count("nics"))
        listing = Listing(self.request, rows, columns=columns, search=("name", "subnet", "bridge"), order="name")
        return {
            "title": _("Networks"),
            "empty": _("Machines without a network cannot be reached, but their screens can."),
            "live_kinds": "network",
            "new_url": reverse("portal:network-new") if holds(self.actor, "network.manage") else "",
            "new_label": _("New network"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(row.name, reverse("portal:network", args=[row.pk])),
                    Cell(words.NETWORK.get(row.kind, row.kind)),
                    Cell(row.subnet or row.bridge or "–"),
                    Cell(row.cluster.name),
                    Cell(row.card_count),
                ])
                for row in listing.page
            ],
        }  # fmt: skip


class NetworkOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Network, pk)
        machines = visible_to(self.actor, VirtualMachine).filter(nics__network=row).distinct()[:MOST_RELATED]
        return {
            "title": row.name,
            "under": words.NETWORK.get(row.kind, row.kind),
            "back_url": reverse("portal:networks"),
            "back_label": _("Networks"),
            "live_kinds": f"network:{row.pk}",
            "actions": [
                *permission_actions(self.actor, "network", row),
                *([_network_edit(row), network_removal(row)] if may(self.actor, "network.manage", row) else []),
            ],
            "details": [
                Pair(_("Cluster"), row.cluster.name),
                Pair(_("Subnet"), row.subnet or "–"),
                Pair(_("Bridge"), row.bridge or "–"),
                Pair(_("VLAN"), str(row.vlan or "–")),
                *([] if row.kind in BRIDGED else [Pair(_("MTU"), str(row.mtu or _("usual")))]),
                Pair(_("Its cards may send as"), _(dict(Guard.choices)[row.guard])),
                Pair(_("Name on the hosts"), row.host_name),
            ],
            "relateds": [_cards_on(row, machines)],
            "events": recent_events("network", row.pk),
        }


def _network_edit(row: Network) -> Action:
    return Action(_("Edit"), reverse("portal:network-edit", args=[row.pk]), "edit", link=True)


def _cards_on(row: Network, machines: Any) -> Related:
    """Which address belongs to whom: what the network's DHCP gave away, and what guests tell."""
    cards = Nic.objects.filter(network=row, vm__in=[vm.pk for vm in machines]).select_related("vm").order_by("vm__name")
    return Related(
        _("Cards and addresses"),
        [_("Machine"), _("Card"), _("Address"), _("State")],
        [
            Row([
                Cell(nic.vm.title or nic.vm.name, reverse("portal:vm", args=[nic.vm_id])),
                Cell(nic.mac),
                _address(nic),
                Cell(mark=words.machine_mark(nic.vm)),
            ])
            for nic in cards
        ],
        _("None."),
    )  # fmt: skip


def _address(nic: Nic) -> Cell:
    """What DHCP says; else what the guest says, which does not tell of which of its cards."""
    told = ", ".join((nic.vm.guest or {}).get("addresses") or [])
    if nic.leased or not told:
        return Cell(nic.leased or "–")
    return Cell(told, under=_("says the guest"))


def machines_on(machines: Any) -> Related:
    """The machines that use something, as a table."""
    return Related(
        _("Machines"),
        [_("Name"), _("State")],
        [
            Row([
                Cell(vm.title or vm.name, reverse("portal:vm", args=[vm.pk])),
                Cell(mark=words.machine_mark(vm)),
            ])
            for vm in machines
        ],
        _("None."),
    )  # fmt: skip
