"""Enrolling a machine as a host: a command for it, and a code that is shown once."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.core.errors import BerthError
from broker.virt.actions.invite_host import invite_host
from portal.agents import package
from portal.agents.views import manager_of
from portal.web.base import refuse
from portal.web.form_page import FormPage
from portal.web.inventory_forms import ClusterForm


class InviteForm(ClusterForm):
    verb = "host.manage"

    address = forms.CharField(
        label=gettext_lazy("Address"), max_length=253,
        help_text=gettext_lazy("Its name or IP address, by which Berth and the other hosts reach it."),
    )  # fmt: skip


class Invite(FormPage):
    """The form, and in its place what to do on the machine."""

    verb = "host.manage"

    def form(self, data: Any) -> InviteForm:
        known = {name: self.request.GET.get(name, "")[:253] for name in ("name", "cluster", "address")}
        return InviteForm(data, actor=self.actor, initial={name: value for name, value in known.items() if value})

    def post(self, request: HttpRequest, **kwargs: Any) -> HttpResponse:
        form = self.form(request.POST)
        if form.is_valid():
            try:
                return self._invited(form.cleaned_data)
            except BerthError as error:
                refuse(request, form, error)
        return self._show(form, status=400)

    def _invited(self, values: dict[str, Any]) -> HttpResponse:
        invited = invite_host(actor=self.actor, **values)
        told = {
            "title": _("Enrol %(name)s") % {"name": invited.invitation.name},
            "command": package.command(manager_of(self.request), str(invited.invitation.pk)),
            "code": invited.code,
            "until": invited.invitation.until,
            "back_url": reverse("portal:hosts"),
            "back_label": _("Hosts"),
        }
        response = render(self.request, "portal/manage/invited.html", told)
        response["Cache-Control"] = "no-store"
        return response

    def words(self) -> dict[str, Any]:
        return {
            "title": _("Enrol a machine as a host"),
            "under": _("One command on the machine installs libvirt, its certificate and the agent, and adds it here."),
            "submit": _("Make a code"),
            "back_url": reverse("portal:hosts"),
            "back_label": _("Hosts"),
        }
