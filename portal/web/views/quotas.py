"""Quotas: the list with bars of what is used, and setting, changing and removing one."""

from datetime import timedelta
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actions.create_quota import create_quota
from broker.access.actions.delete_quota import delete_quota
from broker.access.actions.edit_quota import edit_quota
from broker.access.models import Quota
from broker.access.queries import quotas
from broker.access.require import find, may
from broker.access.usage import uses
from portal.context import holds
from portal.templatetags.berth import duration
from portal.web.access_forms import NewQuotaForm, QuotaForm
from portal.web.access_page import MODES, bars, heaviest, whose
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action


class Quotas(Page):
    template = "portal/manage/quotas.html"

    def content(self) -> dict[str, Any]:
        columns = (Column(_("Who")), Column(_("Mode"), "mode"), Column(_("Used")), Column(""))
        listing = Listing(
            self.request,
            quotas(self.actor),
            columns=columns,
            search=("user__username", "group__name", "cluster__name"),
            filters=(Filter("mode", _("Mode"), "mode", [(key, mark.word) for key, mark in MODES.items()]),),
            order="created_at",
        )
        rows = list(listing.page)
        used = uses(rows)
        people = heaviest(self.actor, used.values())
        # One answer for all of a list: a right on one cluster alone is judged by the action.
        manageable = holds(self.actor, "quota.manage")
        return {
            "title": _("Quotas"),
            "under": _("The most that people, groups and clusters may use. What is used is counted as you look."),
            "new_url": reverse("portal:quota-new") if manageable else "",
            "new_label": _("New quota"),
            "listing": listing,
            "rows": [
                {
                    "id": quota.pk,
                    "whose": whose(quota),
                    "mark": MODES[quota.mode],
                    "under": _under(quota),
                    "bars": bars(quota, used[quota.pk], people),
                    "actions": _actions(quota) if manageable else [],
                }
                for quota in rows
            ],
        }


def _under(quota: Quota) -> str:
    warned = _("warned from %(percent)s %%") % {"percent": quota.threshold_percent}
    if not quota.grace_percent:
        return warned
    if quota.grace_hours is None:
        return warned + " · " + _("up to %(percent)s %% over it let through") % {"percent": quota.grace_percent}
    words = {"percent": quota.grace_percent, "time": duration(timedelta(hours=quota.grace_hours))}
    return warned + " · " + _("up to %(percent)s %% over it let through for %(time)s") % words


def _actions(quota: Quota) -> list[Action]:
    text = _("%(whose)s: limited no more.") % {"whose": whose(quota)}
    return [
        Action(_("Edit"), reverse("portal:quota-edit", args=[quota.pk]), "edit", link=True),
        Action(_("Remove"), reverse("portal:quota-delete", args=[quota.pk]), "trash", danger=True, confirm=text),
    ]


class NewQuota(FormPage):
    verb = "quota.manage"

    def form(self, data: Any) -> NewQuotaForm:
        return NewQuotaForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        create_quota(actor=self.actor, **values)
        return reverse("portal:quotas")

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New quota"),
            "under": _("Empty is no limit. Whoever uses more already keeps what they have, and gets no more."),
            "submit": _("Set the quota"),
            "back_url": reverse("portal:quotas"),
            "back_label": _("Quotas"),
        }


class EditQuota(FormPage):
    def form(self, data: Any, pk: Any) -> QuotaForm:
        quota = find(self.actor, Quota, pk)
        if quota.cluster is None or not may(self.actor, "quota.manage", quota.cluster):
            find(self.actor, Quota, pk, "quota.manage")
        return QuotaForm(data, quota=quota)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_quota(actor=self.actor, quota=find(self.actor, Quota, pk), **values)
        return reverse("portal:quotas")

    def words(self, pk: Any) -> dict[str, Any]:
        quota = find(self.actor, Quota, pk)
        return {
            "title": _("Quota of %(whose)s") % {"whose": whose(quota)},
            "under": _("Empty is no limit. Whoever uses more already keeps what they have, and gets no more."),
            "submit": _("Save"),
            "back_url": reverse("portal:quotas"),
            "back_label": _("Quotas"),
        }


class DeleteQuota(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_quota(actor=self.actor, quota=find(self.actor, Quota, pk))
        return done(self.request, _("The quota was removed."), to=reverse("portal:quotas"))
