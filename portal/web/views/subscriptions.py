"""Notifications: the list of subscriptions, the form of one, and what can be done with it."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.kinds import KINDS
from broker.access.require import may
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.events.models import Severity
from broker.notifications.actions.create_subscription import create_subscription
from broker.notifications.actions.delete_subscription import delete_subscription
from broker.notifications.actions.edit_subscription import edit_subscription
from broker.notifications.actions.try_subscription import try_subscription
from broker.notifications.models import Subscription, Way
from broker.notifications.rules import require_reading, subscriptions
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.parts import Action
from portal.web.words import Mark

FIELDS = ("name", "way", "target", "severity", "object_kind", "object_id")


def found(actor: Any, pk: Any) -> Subscription:
    row = subscriptions(actor).filter(pk=pk).first()
    if row is None:
        raise Missing(
            N_("There is no such object."), fix=N_("Go back to the list; it may have been removed, or is not yours.")
        )
    return row


class Subscriptions(Page):
    template = "portal/manage/subscriptions.html"

    def content(self) -> Mapping[str, Any]:
        return {
            "rows": [_row(row) for row in subscriptions(self.actor)],
            "new_url": reverse("portal:subscription-new"),
            "new_label": _("New subscription"),
        }


class SubscriptionForm(StyledForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=64)
    way = forms.ChoiceField(label=gettext_lazy("Way"), choices=Way.choices)
    target = forms.CharField(
        label=gettext_lazy("To"), max_length=500, help_text=gettext_lazy("A mail address, or an https address.")
    )
    severity = forms.ChoiceField(
        label=gettext_lazy("Severity"), choices=Severity.choices, initial="warning",
        help_text=gettext_lazy("This and worse."),
    )  # fmt: skip
    kinds = forms.CharField(
        label=gettext_lazy("Kinds of events"), required=False, max_length=1400,
        help_text=gettext_lazy("As the list of events shows them, with spaces between; vm.* for all that begin so. "
                               "Empty: all."),
    )  # fmt: skip
    object_kind = forms.ChoiceField(label=gettext_lazy("Of"), required=False)
    object_id = forms.UUIDField(
        label=gettext_lazy("… the one with the id"), required=False, help_text=gettext_lazy("Empty: all of that kind.")
    )
    secret = forms.CharField(
        label=gettext_lazy("Key"), required=False, max_length=200, widget=forms.PasswordInput,
        help_text=gettext_lazy("Signs a webhook, 16 signs or more. It is not shown again; empty keeps what is there."),
    )  # fmt: skip
    site = forms.BooleanField(
        label=gettext_lazy("The site's"), required=False, help_text=gettext_lazy("It is nobody's own, and stays.")
    )

    def __init__(self, *args: Any, admin: bool, new: bool, **kwargs: Any):
        super().__init__(*args, **kwargs)
        kinds: Any = self.fields["object_kind"]
        kinds.choices = [("", _("everything")), *((name, name) for name in sorted(KINDS.names()))]
        if not admin:
            ways: Any = self.fields["way"]
            ways.choices = [(Way.MAIL.value, Way.MAIL.label)]
            del self.fields["secret"]
        if not (admin and new):
            del self.fields["site"]


class _Form(FormPage):
    def values(self, cleaned: dict[str, Any]) -> dict[str, Any]:
        return {**cleaned, "kinds": cleaned["kinds"].replace(",", " ").split()}


class NewSubscription(_Form):
    def form(self, data: Any) -> StyledForm:  # type: ignore[override]
        require_reading(self.actor)
        user = self.actor.user
        initial = {"target": user.email if user else ""}
        return SubscriptionForm(data, initial=initial, admin=may(self.actor, "system.manage"), new=True)

    def make(self, values: dict[str, Any]) -> str:  # type: ignore[override]
        create_subscription(actor=self.actor, **self.values(values))
        return reverse("portal:subscriptions")

    def words(self) -> Mapping[str, Any]:  # type: ignore[override]
        return {
            "title": _("New subscription"), "under": _("What happens from now on is told."), "submit": _("Subscribe"),
            "back_url": reverse("portal:subscriptions"), "back_label": _("Notifications"),
        }  # fmt: skip


class EditSubscription(_Form):
    def form(self, data: Any, pk: Any) -> StyledForm:  # type: ignore[override]
        row = found(self.actor, pk)
        initial = {name: getattr(row, name) for name in FIELDS} | {"kinds": " ".join(row.kinds)}
        return SubscriptionForm(data, initial=initial, admin=may(self.actor, "system.manage"), new=False)

    def make(self, values: dict[str, Any], pk: Any) -> str:  # type: ignore[override]
        edit_subscription(actor=self.actor, subscription=found(self.actor, pk), **self.values(values))
        return reverse("portal:subscriptions")

    def words(self, pk: Any) -> Mapping[str, Any]:  # type: ignore[override]
        return {
            "title": found(self.actor, pk).name, "submit": _("Save"),
            "back_url": reverse("portal:subscriptions"), "back_label": _("Notifications"),
        }  # fmt: skip


class SubscriptionDeed(Deed):
    """Test it, switch it off or on, end it."""

    def do(self, pk: Any, verb: str) -> HttpResponse:
        row = found(self.actor, pk)
        if verb == "test":
            try_subscription(actor=self.actor, subscription=row)
            return done(self.request, _("A test is sent within seconds; the list then says whether it arrived."))
        if verb in ("on", "off"):
            edit_subscription(actor=self.actor, subscription=row, enabled=verb == "on")
            return done(self.request, _("It was switched on.") if verb == "on" else _("It was switched off."))
        if verb == "delete":
            delete_subscription(actor=self.actor, subscription=row)
            return done(self.request, _("The subscription was removed."))
        raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))


def _row(row: Subscription) -> dict[str, Any]:
    def deed(verb: str) -> str:
        return reverse("portal:subscription-deed", args=[row.pk, verb])

    switch = (
        Action(_("Switch off"), deed("off"), "player-pause")
        if row.enabled
        else Action(_("Switch on"), deed("on"), "player-play")
    )
    ends = _("Nothing is told to %(target)s any more.") % {"target": row.target}
    return {
        "name": row.name,
        "url": reverse("portal:subscription-edit", args=[row.pk]),
        "owner": str(row.owner) if row.owner else _("the site"),
        "way": Way(row.way).label,
        "target": row.target,
        "what": _what(row),
        "mark": _mark(row),
        "error": row.error,
        "again_at": row.due_at if row.failures and row.enabled else None,
        "told_at": row.told_at,
        "actions": [
            Action(_("Test"), deed("test"), "plug-connected"),
            switch,
            Action(_("Delete"), deed("delete"), "trash", danger=True, confirm=ends),
        ],
    }


def _what(row: Subscription) -> str:
    severity = Severity(row.severity).label
    kinds = ", ".join(row.kinds) or _("all kinds")
    of = f" · {row.object_kind} {row.object_id or ''}".rstrip() if row.object_kind else ""
    return f"{severity} · {kinds}{of}"


def _mark(row: Subscription) -> Mark:
    if not row.enabled:
        return Mark(_("Off"), "idle")
    if row.failures:
        return Mark(_("Does not arrive"), "bad")
    if row.test_asked:
        return Mark(_("Test under way"), "warn")
    return Mark(_("Works"), "good") if row.told_at else Mark(_("Nothing told yet"), "idle")
