"""What goes with consoles in the back office: help, links, messages, rules, and how long it took."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter
from unfold.decorators import display

from broker.connections.actions.end_help import end_help
from broker.connections.actions.end_share import end_share
from broker.connections.models import ConsolePolicy, Guest, Help, Message, SessionTiming, Share, SignOn
from portal.web.parts import stored_sentences

from .deeds import Deed, with_deeds
from .rows import Rows
from .site import site


@admin.register(Help, site=site)
@with_deeds(
    Deed(
        "end", _("End"), end_help, "help", _("The screen closes for the helper; its user goes on."), "logout",
        destroys=True,
    )
)  # fmt: skip
class HelpAdmin(Rows):
    """Who asked whom to see their screen, and what the answer was."""

    list_display = ("vm", "helper", "asked_of", "level", "state", "asked_at", "answered_at", "ended_at")
    list_filter = (("state", ChoicesDropdownFilter), ("asked_at", RangeDateTimeFilter))
    search_fields = ("vm__name", "helper__username", "asked_of__username")
    list_select_related = ("vm", "helper", "asked_of")


@admin.register(Share, site=site)
@with_deeds(
    Deed(
        "end", _("End"), end_share, "share", _("The link opens nothing any more; screens opened by it close."),
        "link_off", destroys=True,
    )
)  # fmt: skip
class ShareAdmin(Rows):
    """Links to screens; what is in them is kept as a digest only and not shown."""

    list_display = ("vm", "owner", "level", "everybody", "created_at", "expires_at", "ended_at")
    search_fields = ("vm__name", "owner__username")
    list_select_related = ("vm", "owner")
    exclude = ("secret_hash",)


@admin.register(Guest, site=site)
class GuestAdmin(Rows):
    """Who came by a link without an account."""

    list_display = ("user", "name", "share", "since")
    search_fields = ("name", "user__username")
    list_select_related = ("user", "share__vm", "share__owner")


@admin.register(Message, site=site)
class MessageAdmin(Rows):
    """That messages were sent to screens; what they say is for those two."""

    list_display = ("user", "vm", "by", "sent_at", "read_at")
    search_fields = ("user__username", "vm__name")
    list_select_related = ("user", "vm")
    exclude = ("text",)


@admin.register(ConsolePolicy, site=site)
class ConsolePolicyAdmin(Rows):
    """What screens allow, by object; changed on the object's page."""

    list_display = ("object_kind", "object_id", "clipboard", "files", "usb", "record", "guests", "sign_on")
    list_filter = ("object_kind",)


@admin.register(SignOn, site=site)
class SignOnAdmin(Rows):
    """Who was to be signed on in the guest of a desktop, and what came of it; the policy is on the pool's page."""

    list_display = ("session", "account", "outcome", "asked_at", "begun_at", "ended_at", "cause")
    list_filter = (("outcome", ChoicesDropdownFilter), ("asked_at", RangeDateTimeFilter))
    search_fields = ("account", "session__user__username", "session__vm__name")
    list_select_related = ("session__user", "session__vm")
    exclude = ("error",)
    readonly_fields = ("cause",)

    @display(description=_("Cause"))
    def cause(self, row: SignOn) -> str:
        return " ".join(stored_sentences(row.error)) or "–"


@admin.register(SessionTiming, site=site)
class SessionTimingAdmin(Rows):
    """How long it took from signing in to the first picture, in milliseconds by phase."""

    list_display = ("at", "user", "vm", "sign_in", "allocation", "start", "boot", "agent", "picture", "total")
    list_filter = (("at", RangeDateTimeFilter),)
    search_fields = ("user__username", "vm__name")
    list_select_related = ("user", "vm")
