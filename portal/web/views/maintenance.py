"""Putting a host into maintenance: what becomes of each machine on it, said before anything is done."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.virt.actions.evacuate_host import evacuate_host
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.evacuating import outlook
from broker.virt.models import Host, VirtualMachine
from broker.virt.placement.recover import Restart
from portal.middleware import sentence
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm

MOST_SHOWN = 200


class MaintenanceForm(StyledForm):
    machines = forms.ChoiceField(
        label=gettext_lazy("Its machines"), required=False, widget=forms.RadioSelect, initial="move",
        choices=[
            ("move", gettext_lazy("Move them to other hosts first")), ("leave", gettext_lazy("Leave them running")),
        ],
    )  # fmt: skip


def _why(host: Host, one: Restart) -> list[str]:
    """Why the other hosts do not take it; where there is no other, why its own does not."""
    others = [reason for reason in one.reasons if reason.id != str(host.pk)]
    return [f"{one.subject}: {sentence(one.template, one.params)}" for one in (others or one.reasons)[:6]]


class Maintenance(FormPage):
    """The machines that run on the host, each with where it would go now, or why it cannot be moved."""

    template = "portal/manage/maintenance.html"

    def form(self, data: Any, pk: Any) -> StyledForm:
        find(self.actor, Host, pk, "host.manage")
        return MaintenanceForm(data)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        host = find(self.actor, Host, pk)
        if values.get("machines") == "leave":
            maintain_host(actor=self.actor, host=host)
            return reverse("portal:host", args=[pk])
        return reverse("portal:job", args=[evacuate_host(actor=self.actor, host=host).pk])

    def words(self, pk: Any) -> dict[str, Any]:
        host = find(self.actor, Host, pk)
        plan = outlook(host)
        seen = set(visible_to(self.actor, VirtualMachine).filter(host=host).values_list("pk", flat=True))
        lines = [
            {
                "name": one.machine.name if one.machine.id in seen else _("A machine you may not see"),
                "url": reverse("portal:vm", args=[one.machine.id]) if one.machine.id in seen else "",
                "host": one.host.name if one.host else "",
                "why": _why(host, one),
            }
            for one in sorted(plan, key=lambda one: one.host is not None)
        ]
        return {
            "title": _("Maintenance of %(name)s") % {"name": host.name},
            "under": _("Nothing is started on it any more. Until it is empty it can be called back on the job's page."),
            "submit": _("Put it into maintenance"),
            "back_url": reverse("portal:host", args=[pk]),
            "back_label": host.name,
            "lines": lines[:MOST_SHOWN],
            "more": max(len(lines) - MOST_SHOWN, 0),
            "stay": sum(one.host is None for one in plan),
            "count": len(plan),
        }
