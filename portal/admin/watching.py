"""What people have told to them and keep: subscriptions, batches, searches; loads over time; the chain of events."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from broker.access.actions.verify_events import verify_events
from broker.access.actor import Actor
from broker.events.models import ChainCheck
from broker.notifications.actions.delete_subscription import delete_subscription
from broker.notifications.actions.edit_subscription import edit_subscription
from broker.notifications.actions.try_subscription import try_subscription
from broker.notifications.models import Subscription
from broker.virt.actions.delete_saved_search import delete_saved_search
from broker.virt.actions.edit_saved_search import edit_saved_search
from broker.virt.models import Batch, HostLoad, MachineLoad, SavedSearch

from .deeds import Deed, with_deeds
from .rows import AMBER, GREEN, GREY, RED, Rows, bar
from .site import site


def _enable(*, actor: Actor, subscription: Subscription) -> None:
    edit_subscription(actor=actor, subscription=subscription, enabled=True)


def _disable(*, actor: Actor, subscription: Subscription) -> None:
    edit_subscription(actor=actor, subscription=subscription, enabled=False)


@admin.register(Subscription, site=site)
@with_deeds(
    Deed("try", _("Send a test"), try_subscription, "subscription", _("One message is sent to its target."), "send"),
    Deed("enable", _("Switch on"), _enable, "subscription", _("Events are told from now on."), "notifications"),
    Deed("disable", _("Switch off"), _disable, "subscription", _("Nothing is told until it is switched on again."),
         "notifications_off"),
    Deed("delete", _("Delete"), delete_subscription, "subscription", _("Nothing is told any more."), "delete",
         destroys=True),
)  # fmt: skip
class SubscriptionAdmin(Rows):
    """The site's can be changed here; those of people are theirs. No secret is shown."""

    list_display = ("name", "whose", "way", "target", "severity", "life", "failures", "told_at")
    list_filter = (("way", ChoicesDropdownFilter), "enabled")
    search_fields = ("name", "target", "owner__username")
    list_select_related = ("owner",)
    fields = (
        ("name", "whose"), ("way", "target"), ("severity", "kinds"), ("object_kind", "object_id"), ("life", "failures"),
        "error", ("created_at", "told_at", "due_at"),
    )  # fmt: skip
    readonly_fields = ("whose", "life")

    @display(description=_("Whose"), ordering="owner")
    def whose(self, subscription: Subscription) -> Any:
        return subscription.owner or _("the site's")

    @display(
        description=_("State"), ordering="enabled",
        label={_("delivers"): GREEN, _("fails"): RED, _("off"): GREY},
    )  # fmt: skip
    def life(self, subscription: Subscription) -> Any:
        if not subscription.enabled:
            return _("off")
        return _("fails") if subscription.failures else _("delivers")


@admin.register(Batch, site=site)
class BatchAdmin(Rows):
    """One action for several machines, and what came of it for each."""

    list_display = ("verb", "owner", "machines", "not_done", "created_at")
    list_filter = ("verb", ("created_at", RangeDateTimeFilter))
    search_fields = ("verb", "owner__username", "id__iexact")
    list_select_related = ("owner",)
    fields = (("verb", "owner"), "created_at", "each")
    readonly_fields = ("each",)

    @display(description=_("Machines"))
    def machines(self, batch: Batch) -> int:
        return len(batch.results)

    @display(description=_("Not done"))
    def not_done(self, batch: Batch) -> int:
        return sum(one.get("state") in ("refused", "failed") for one in batch.results.values())

    @display(description=_("Results"))
    def each(self, batch: Batch) -> Any:
        rows = ((one.get("name", ""), one.get("state", "")) for one in batch.results.values())
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}: {}</li>", rows))


def _share(*, actor: Actor, search: SavedSearch) -> None:
    edit_saved_search(actor=actor, search=search, shared=True)


def _unshare(*, actor: Actor, search: SavedSearch) -> None:
    edit_saved_search(actor=actor, search=search, shared=False)


@admin.register(SavedSearch, site=site)
@with_deeds(
    Deed("share", _("Share"), _share, "search", _("Everybody finds it in their list of machines."), "share"),
    Deed("unshare", _("Share no longer"), _unshare, "search", _("Only its owner finds it."), "lock"),
    Deed("delete", _("Delete"), delete_saved_search, "search", _("It is removed; machines stay."), "delete",
         destroys=True),
)  # fmt: skip
class SavedSearchAdmin(Rows):
    list_display = ("name", "owner", "text", "shared", "created_at")
    list_filter = ("shared",)
    search_fields = ("name", "text", "owner__username")
    list_select_related = ("owner",)


class LoadAdmin(Rows):
    """Averages and peaks over a minute, an hour or a day; old ones give way to wider ones."""

    list_display = ("owner", "at", "span", "cpu", "cpu_max", "memory_avg", "disk_read_avg", "disk_write_avg")
    list_filter = (("span", ChoicesDropdownFilter), ("at", RangeDateTimeFilter))
    search_fields = ("owner__name",)
    list_select_related = ("owner",)

    @display(description=_("CPU"), ordering="cpu_avg")
    def cpu(self, load: MachineLoad | HostLoad) -> Any:
        return bar(None if load.cpu_avg is None else round(load.cpu_avg))


admin.register(MachineLoad, HostLoad, site=site)(LoadAdmin)


def _verify(*, actor: Actor, check: ChainCheck) -> None:
    verify_events(actor=actor)


@admin.register(ChainCheck, site=site)
@with_deeds(
    Deed("verify", _("Verify now"), _verify, "check", _("All events are read and their chain is computed anew."),
         "verified")
)  # fmt: skip
class ChainCheckAdmin(Rows):
    """Whether the chain of events is whole, as of the last look."""

    list_display = ("ended_at", "verdict", "position", "began_at", "under_way")

    @display(description=_("Chain"), label={_("whole"): GREEN, _("broken"): RED, _("not looked at"): AMBER})
    def verdict(self, check: ChainCheck) -> Any:
        if check.problem:
            return _("broken")
        return _("whole") if check.ended_at else _("not looked at")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
