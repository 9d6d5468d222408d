"""High availability: a host's verdicts and fence devices, a cluster's settings, and what would be done now."""

from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.actions.confirm_rebooted import confirm_rebooted
from broker.virt.actions.create_fence_device import create_fence_device
from broker.virt.actions.delete_fence_device import delete_fence_device
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.actions.fence_host import fence_host
from broker.virt.ha.fencing import AGENTS
from broker.virt.ha.judge import Decision
from broker.virt.ha.rehearsal import rehearse
from broker.virt.ha.rules import MODES, SETTINGS
from broker.virt.models import Cluster, FenceDevice, Host, Verdict
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.parts import Action, Cell, Pair, Related, Row, recent_events
from portal.web.words import Mark

from .placement import table_form
from .removals import removal

MOST_VERDICTS = 30
DECISIONS = {
    Decision.ALIVE: Mark(gettext_lazy("answers"), "good"),
    Decision.WAIT: Mark(gettext_lazy("is waited for"), "warn"),
    Decision.HOLD: Mark(gettext_lazy("nothing is done"), "warn"),
    Decision.ASK: Mark(gettext_lazy("is asked anew"), "warn"),
    Decision.FENCE: Mark(gettext_lazy("is fenced"), "bad"),
    Decision.LEASED: Mark(gettext_lazy("lease is over"), "bad"),
    Decision.DEAD: Mark(gettext_lazy("is dead"), "bad"),
    Decision.RETURNED: Mark(gettext_lazy("is back"), "warn"),
}
SOURCES = {
    "libvirt": gettext_lazy("libvirt"),
    "agent": gettext_lazy("agent"),
    "lease": gettext_lazy("storage lease"),
    "peer": gettext_lazy("another host"),
    "asked": gettext_lazy("asked anew"),
}


class HostAvailability(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        host = find(self.actor, Host, pk, "host.manage")
        verdicts = Verdict.objects.filter(host=host)[:MOST_VERDICTS]
        devices = host.fence_devices.all()
        return {
            "title": _("Availability of %(name)s") % {"name": host.name},
            "under": _("What was decided about it, on which evidence, and how its power is cut."),
            "back_url": reverse("portal:host", args=[pk]),
            "back_label": host.name,
            "live_kinds": f"host:{host.pk} job",
            "actions": _host_actions(host),
            "details": [
                Pair(_("Fence devices"), str(len(devices))),
                Pair(_("Last verdict"), DECISIONS[Decision(verdicts[0].decision)].word if verdicts else _("none")),
            ],
            "relateds": [
                Related(
                    _("Fence devices"), [_("Agent"), _("Address"), _("Options")],
                    [Row(_device(one), [_device_removal(one)]) for one in devices],
                    _("None: nobody can cut its power, so its machines are restarted only when you confirm that it was "
                      "rebooted, or when a lease on storage is over."), acting=True,
                ),
                Related(
                    _("Verdicts"), [_("When"), _("Decision"), _("Why, and on which evidence")],
                    [
                        Row([
                            Cell(moment=one.at), Cell(mark=DECISIONS[Decision(one.decision)]),
                            Cell(_(one.message) % one.params, under=_evidence(one)),
                        ])
                        for one in verdicts
                    ],
                    _("None: it was never in doubt."),
                ),
            ],
            "events": recent_events("host", host.pk),
        }  # fmt: skip


def _evidence(verdict: Verdict) -> str:
    if not verdict.evidence:
        return ""
    return _("Seconds since the last sign: ") + ", ".join(
        f"{SOURCES.get(one['source'], one['source'])}{' ' + one['by'] if one['by'] else ''} "
        f"{_('never') if one['ago'] is None else round(one['ago'])}"
        for one in verdict.evidence
    )


def _device(one: FenceDevice) -> list[Cell]:
    options = ", ".join(f"{name}={value}" for name, value in one.options.items())
    return [Cell(one.agent), Cell(one.address, under=one.username), Cell(options or "–")]


def _device_removal(one: FenceDevice) -> Action:
    return removal(
        _("Remove %(name)s") % {"name": one}, "fence-device-delete", one, _("Nobody can then cut the power this way.")
    )


def _host_actions(host: Host) -> list[Action]:
    fence = reverse("portal:host-fence", args=[host.pk])
    confirm = reverse("portal:host-confirm-rebooted", args=[host.pk])
    return [
        Action(_("Add a fence device"), reverse("portal:fence-device-new", args=[host.pk]), "plus", link=True),
        Action(
            _("Confirm that it was rebooted"), confirm, "check", danger=True,
            confirm=_("Its machines are restarted elsewhere. If it still runs them, their disks are at risk: confirm "
                      "this only when you saw that it is off or was rebooted."),
        ),
        Action(
            _("Fence"), fence, "power", danger=True, confirm=_("Its power is cut at once, with all machines on it.")
        ),
    ]  # fmt: skip


class DeviceForm(StyledForm):
    agent = forms.ChoiceField(label=gettext_lazy("Agent"), choices=[(name, name) for name in AGENTS])
    address = forms.CharField(label=gettext_lazy("Address of the power management"), max_length=255)
    username = forms.CharField(label=gettext_lazy("User name"), max_length=64, required=False)
    password = forms.CharField(
        label=gettext_lazy("Password"), max_length=255, required=False, strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "off"}),
    )  # fmt: skip
    options = forms.CharField(
        label=gettext_lazy("Further options"), max_length=4000, required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("One a line, like lanplus=1 or plug=3; see the manual page of the agent."),
    )  # fmt: skip


class NewDevice(FormPage):
    def form(self, data: Any, pk: Any) -> DeviceForm:
        find(self.actor, Host, pk, "host.manage")
        return DeviceForm(data)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        options = {}
        for line in values.pop("options").splitlines():
            name, equals, value = line.partition("=")
            if line.strip() and not equals:
                raise Invalid(N_("This is not an option."), field="options", fix=N_("Write name=value on each line."))
            if line.strip():
                options[name.strip()] = value.strip()
        create_fence_device(actor=self.actor, host=find(self.actor, Host, pk), options=options, **values)
        return reverse("portal:host-availability", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        return {
            "title": _("New fence device"),
            "under": _("Power management through the package fence-agents, such as IPMI or Redfish."),
            "submit": _("Add the device"),
            "back_url": reverse("portal:host-availability", args=[pk]),
            "back_label": _("Availability"),
        }


class DeleteDevice(Deed):
    def do(self, pk: Any) -> HttpResponse:
        device = FenceDevice.objects.filter(pk=pk).select_related("host").first()
        host = find(self.actor, Host, device.host_id if device else pk)
        assert device is not None
        delete_fence_device(actor=self.actor, device=device)
        back = reverse("portal:host-availability", args=[host.pk])
        return done(self.request, _("The fence device was removed."), to=back, leave=True)


class FenceHost(Deed):
    def do(self, pk: Any) -> HttpResponse:
        fence_host(actor=self.actor, host=find(self.actor, Host, pk))
        return done(self.request, _("Its power is being cut."))


class Confirm(Deed):
    def do(self, pk: Any) -> HttpResponse:
        confirm_rebooted(actor=self.actor, host=find(self.actor, Host, pk))
        return done(self.request, _("It counts as rebooted from now."))


class ClusterSettings(FormPage):
    def form(self, data: Any, pk: Any) -> StyledForm:
        return table_form(SETTINGS, find(self.actor, Cluster, pk, "cluster.manage").ha, data)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_cluster(actor=self.actor, cluster=find(self.actor, Cluster, pk), ha=values)
        return reverse("portal:cluster-availability", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk)
        return {
            "title": _("High availability in %(name)s") % {"name": row.name},
            "submit": _("Save"),
            "back_url": reverse("portal:cluster-availability", args=[pk]),
            "back_label": _("High availability"),
        }


class ClusterAvailability(Page):
    """What would be done, or is being done, now."""

    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        row = find(self.actor, Cluster, pk, "cluster.manage")
        told = rehearse(row)
        edit = Action(_("Settings"), reverse("portal:cluster-ha", args=[pk]), "edit", link=True)
        return {
            "title": _("High availability"),
            "under": _("The verdict on each host at this moment, and the machines that wait to be restarted."),
            "back_url": reverse("portal:cluster", args=[pk]),
            "back_label": row.name,
            "live_kinds": f"cluster:{row.pk} host vm",
            "actions": [edit],
            "details": [
                Pair(_("When a host dies"), _(dict(MODES)[told.mode])),
                Pair(_("Machines waiting"), str(len(told.queue))),
            ],
            "relateds": [
                Related(
                    _("Hosts"), [_("Host"), _("Verdict"), _("Why")],
                    [
                        Row([
                            Cell(one.host.name, reverse("portal:host-availability", args=[one.host.pk])),
                            Cell(mark=DECISIONS[one.ruling.decision]),
                            Cell(_(one.ruling.message) % dict(one.ruling.params)),
                        ])
                        for one in told.situations
                    ],
                    _("No host was seen yet."),
                ),
                Related(
                    _("Machines to be restarted"), [_("Machine"), _("Lost with"), _("Now")],
                    [
                        Row([
                            Cell(one.vm.name, reverse("portal:vm", args=[one.vm_id])), Cell(one.host.name),
                            Cell(_("goes to %(host)s") % {"host": target} if target else _("waits for room"),
                                 under=why or one.reason),
                        ])
                        for one, target, why in told.queue
                    ],
                    _("None."),
                ),
            ],
        }  # fmt: skip
