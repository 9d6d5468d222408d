"""Hosts: the list, and the page of one with what runs on it. It says when guests are emulated."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Count, Q
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, may, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.virt import open_screens
from broker.virt.actions.activate_host import activate_host
from broker.virt.actions.adopt_vm import adopt_vm
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.actions.wake_host import wake_host
from broker.virt.host_status import line_of, status_of, with_status
from broker.virt.migrating import reach
from broker.virt.models import ForeignMachine, Host, VirtualMachine
from broker.virt.power_facts import SLEEP_PLAN, WAKE_PLAN
from portal.context import holds
from portal.templatetags.berth import bytesize, share
from portal.web import words
from portal.web.access_page import permission_actions
from portal.web.base import Deed, Page, done
from portal.web.host_part import agent_part
from portal.web.listing import Column, Filter, Listing
from portal.web.loads import of_host
from portal.web.parts import Action, Cell, Notice, Pair, Related, Row, jobs_of, progress_of, recent_events
from portal.web.words import Mark

from .devices import devices_of_host
from .host_power import power_of
from .inventory import MOST_RELATED, machines_on
from .removals import host_removal


class Hosts(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "name"), Column(_("State"), "state"), Column(_("Cluster"), "cluster__name"),
            Column(_("Processors"), "cpus"), Column(_("Memory in use")), Column(_("Running"), "running_count"),
            Column(_("Guests run")), Column(_("Seen"), "observed_at"),
        )  # fmt: skip
        rows = with_status(visible_to(self.actor, Host)).annotate(
            running_count=Count("vms", filter=Q(vms__power_state="running"))
        )  # fmt: skip
        listing = Listing(
            self.request,
            rows,
            columns=columns,
            search=("name", "hostname", "uri"),
            filters=(Filter("state", _("State"), "state", [(key, mark.word) for key, mark in words.HOST.items()]),),
            order="name",
        )
        hosts = list(listing.page)
        emulated = [host.name for host in hosts if host.emulated]
        return {
            "title": _("Hosts"),
            "empty": _("A host is a machine with KVM that runs the desktops."),
            "live_kinds": "host vm",
            "new_url": reverse("portal:host-new") if holds(self.actor, "host.manage") else "",
            "new_label": _("New host"),
            "second_url": reverse("portal:host-invite"),
            "second_label": _("Enrol a machine"),
            "notices": [_emulation(", ".join(emulated))] if emulated else [],
            "listing": listing,
            "rows": [
                Row([
                    Cell(host.name, reverse("portal:host", args=[host.pk]), under=host.hypervisor),
                    Cell(mark=host_mark(host), under=host.trouble),
                    Cell(host.cluster.name),
                    Cell(host.cpus or "–", under=host.cpu_model),
                    Cell(percent=_memory(host), label=_("Memory of %(name)s in use") % {"name": host.name}),
                    Cell(host.running_count),
                    Cell(mark=_speed(host)),
                    Cell(moment=host.observed_at) if host.observed_at else Cell(_("never")),
                ])
                for host in hosts
            ],
        }  # fmt: skip


class HostOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        host = with_status(visible_to(self.actor, Host)).get(pk=find(self.actor, Host, pk).pk)
        notices = [*_under_way(host)]
        if host.trouble:
            notices.append(Notice(_("This host cannot be reached: %(error)s") % {"error": host.trouble}, tone="bad"))
        if host.emulated:
            notices.append(_emulation(host.name, host.emulated_reason))
        machines = visible_to(self.actor, VirtualMachine).filter(host=host)[:MOST_RELATED]
        if exposed := open_screens.names(machines):
            notices.append(_exposed(exposed))
        return {
            "title": host.name,
            "mark": host_mark(host),
            "under": " · ".join(part for part in (host.hostname, _(line_of(host).meaning)) if part),
            "actions": [
                *permission_actions(self.actor, "host", host),
                *(_actions(host) if may(self.actor, "host.manage", host) else []),
            ],
            "back_url": reverse("portal:hosts"),
            "back_label": _("Hosts"),
            "live_kinds": f"host:{host.pk} vm job",
            "notices": notices,
            "details": [
                Pair(_("Cluster"), host.cluster.name, url=reverse("portal:cluster", args=[host.cluster_id])),
                Pair(_("Address"), host.uri),
                Pair(_("Hypervisor"), host.hypervisor or "–"),
                Pair(_("Managed through"), host.manager or "–"),
                Pair(_("Guests run"), mark=_speed(host)),
                Pair(_("Processors"), f"{host.cpus} · {host.cpu_model}" if host.cpu_model else str(host.cpus)),
                *_nodes(host),
                Pair(_("Memory"), bytesize(host.memory_bytes)),
                Pair(_("Memory free"), bytesize(host.memory_free_bytes)),
                Pair(_("Seen"), moment=host.observed_at) if host.observed_at else Pair(_("Seen"), _("never")),
                *power_of(host),
            ],
            "charts": of_host(host, self.request.GET.get("range", "")),
            "relateds": [
                machines_on(machines),
                agent_part(host),
                *devices_of_host(self.actor, host),
                _foreign(host, may(self.actor, "host.manage", host)),
            ],
            "events": recent_events("host", host.pk),
        }


def _nodes(host: Host) -> list[Pair]:
    """The numbers by which machines are pinned to its processors."""
    return [
        Pair(
            _("NUMA node %(number)s") % {"number": node["number"]},
            _("processors %(cpus)s · %(memory)s")
            % {"cpus": node["cpus"] or "–", "memory": bytesize(node["memory_bytes"])}
            + "".join(
                " · " + _("%(free)s of %(total)s pages of %(size)s free") % (one | {"size": bytesize(one["kib"] << 10)})
                for one in node.get("pages", ())
            ),
        )
        for node in host.nodes
    ]  # fmt: skip


class HostDeed(Deed):
    """Put a host into maintenance, back into use, or have it woken."""

    VERBS = {
        "maintain": (maintain_host, gettext_lazy("No machine is started on this host any more; those that run go on.")),
        "activate": (activate_host, gettext_lazy("Machines can be started on this host again.")),
        "wake": (wake_host, gettext_lazy("The host is switched on; it is in service when it answers.")),
    }

    def do(self, pk: Any, verb: str) -> HttpResponse:
        host = find(self.actor, Host, pk)
        if verb not in self.VERBS:
            raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))
        action, told = self.VERBS[verb]
        action(actor=self.actor, host=host)
        return done(self.request, told)


def _actions(host: Host) -> list[Action]:
    health = reverse("portal:host-availability", args=[host.pk])
    edit = Action(_("Edit"), reverse("portal:host-edit", args=[host.pk]), "edit", link=True)
    seen = Action(_("Availability"), health, "activity", link=True)
    upkeep = Action(_("Maintenance"), reverse("portal:host-maintenance", args=[host.pk]), "settings", link=True)
    if host.state == "active":
        return [seen, edit, upkeep, _anew(host)]
    if host.state == "preparing":
        return [seen, edit]
    if host.state == "asleep":
        return [
            seen, edit,
            Action(_("To maintenance"), _deed(host, "maintain"), "settings",
                   confirm=_("It stays switched off, and nothing wakes it until it is back in use.")),
            Action(_("Wake"), _deed(host, "wake"), "power"),
        ]  # fmt: skip
    back = Action(_("Back into use"), _deed(host, "activate"), "player-play")
    return [seen, edit, back, _anew(host), host_removal(host)]


def _anew(host: Host) -> Action:
    """Reinstall it: the same command as at first, with what is known of it."""
    known = {"name": host.name, "cluster": str(host.cluster_id), "address": host.address or reach.address(host)}
    return Action(_("Enrol anew"), f"{reverse('portal:host-invite')}?{urlencode(known)}", "refresh", link=True)


def _deed(host: Host, verb: str) -> str:
    return reverse("portal:host-deed", args=[host.pk, verb])


def host_mark(host: Host) -> Mark:
    """The status in oVirt's words, of a host from `with_status`."""
    return words.HOST_STATUS[status_of(host)]


def _under_way(host: Host) -> list[Notice]:
    """The job that empties the host, or switches it off or on to save power."""
    job = jobs_of("host", [host.pk]).get(host.pk)
    if job is None or job.plan not in ("host.evacuate", SLEEP_PLAN, WAKE_PLAN):
        return []
    return [Notice(str(progress_of(job).text), _("Its job can be cancelled on the page of jobs."), "idle", "activity")]


def _speed(host: Host) -> Mark:
    if host.observed_at is None:
        return words.UNKNOWN
    return Mark(_("Emulated, slow"), "warn") if host.emulated else Mark(_("With KVM"), "good")


def _memory(host: Host) -> int:
    return share(host.memory_bytes - host.memory_free_bytes, host.memory_bytes)


def _emulation(names: str, reason: str = "") -> Notice:
    text = _("KVM does not work on %(names)s: guests are emulated in software and are many times slower.") % {
        "names": names
    }
    fix = _("Switch on virtualization in the firmware, or nested virtualization if this is a virtual machine itself.")
    return Notice(text, f"{reason} {fix}".strip())


def _exposed(names: list[str]) -> Notice:
    return Notice(
        _("Screens of these machines are open to the network, past Berth: %(names)s.")
        % {"names": ", ".join(names[:20])},
        _("“Take its screens off the network” in a machine's hardware moves them at its next start."),
    )


def _foreign(host: Host, able: bool) -> Related:
    rows = ForeignMachine.objects.filter(host=host)[:MOST_RELATED]
    return Related(
        _("Machines that are not Berth's"),
        [_("Name"), _("State"), _("Seen")],
        [
            Row([
                Cell(row.name),
                Cell(mark=words.POWER.get(row.power_state, words.UNKNOWN)),
                Cell(moment=row.observed_at),
            ], [_adopt(host, row)] if able else [])
            for row in rows
        ],
        _("None. If there were any, Berth would list them and leave them alone."),
        acting=able,
    )  # fmt: skip


def _adopt(host: Host, row: ForeignMachine) -> Action:
    text = _("Berth looks after it from now on. Nothing of it is changed by that; deleting it later deletes its disks.")
    url = reverse("portal:host-adopt", args=[host.pk, row.uuid])
    return Action(_("Adopt %(name)s") % {"name": row.name}, url, "plus", confirm=text)


class Adopt(Deed):
    """Take a machine of somebody else's under Berth's care."""

    def do(self, pk: Any, foreign: Any) -> HttpResponse:
        host = find(self.actor, Host, pk)
        row = ForeignMachine.objects.filter(host=host, uuid=foreign).first()
        if row is None:
            raise Missing(N_("There is no such machine."), fix=N_("Look at the host's page again."))
        adopt_vm(actor=self.actor, foreign=row)
        return done(self.request, _("The machine is being adopted."), to=reverse("portal:vm", args=[row.uuid]))
