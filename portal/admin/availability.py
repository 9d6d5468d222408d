"""High availability and what hosts are trusted by, in the back office; set up on the portal's pages."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RangeDateTimeFilter, RelatedDropdownFilter
from unfold.decorators import display

from broker.virt.actions.delete_affinity_group import delete_affinity_group
from broker.virt.actions.delete_fence_device import delete_fence_device
from broker.virt.models import (
    AffinityGroup,
    FenceDevice,
    HostAgent,
    HostCertificate,
    HostHealth,
    HostInvitation,
    Recovery,
    StorageAttachment,
    Verdict,
)

from .deeds import Deed, with_deeds
from .rows import Rows
from .site import site


@admin.register(AffinityGroup, site=site)
@with_deeds(
    Deed(
        "delete", _("Delete"), delete_affinity_group, "group",
        _("Its machines are placed without regard to each other from now on; none is moved."), "delete", destroys=True,
    )
)  # fmt: skip
class AffinityGroupAdmin(Rows):
    """Which machines belong together or apart, and on which hosts."""

    list_display = ("name", "cluster", "machine_rule", "machine_hard", "host_rule", "host_hard")
    list_filter = (("cluster", RelatedDropdownFilter),)
    search_fields = ("name",)
    list_select_related = ("cluster",)


@admin.register(FenceDevice, site=site)
@with_deeds(
    Deed(
        "delete", _("Delete"), delete_fence_device, "device",
        _("Berth can no longer switch its host off by it, and restarts machines elsewhere only by other proof."),
        "delete", destroys=True,
    )
)  # fmt: skip
class FenceDeviceAdmin(Rows):
    """By what a silent host can be switched off; its password is not shown."""

    list_display = ("host", "agent", "address", "username", "order")
    list_filter = (("host", RelatedDropdownFilter), "agent")
    search_fields = ("address", "host__name")
    list_select_related = ("host",)
    exclude = ("secret", "options")


@admin.register(HostHealth, site=site)
class HostHealthAdmin(Rows):
    """How each host stands with high availability."""

    list_display = ("host", "silent_since", "asked_at", "off_at", "confirmed_at", "lost_at", "decision", "rule")
    search_fields = ("host__name",)
    list_select_related = ("host",)


@admin.register(Verdict, site=site)
class VerdictAdmin(Rows):
    """What was decided about silent hosts, and by what."""

    list_display = ("at", "host", "decision", "rule", "silent_seconds", "epoch")
    list_filter = (("host", RelatedDropdownFilter), ("at", RangeDateTimeFilter))
    search_fields = ("host__name", "rule")
    list_select_related = ("host",)


@admin.register(Recovery, site=site)
class RecoveryAdmin(Rows):
    """Machines of dead hosts on their way to others."""

    list_display = ("vm", "host", "target", "state", "tries", "next_at", "created_at")
    list_filter = (("state", ChoicesDropdownFilter), ("host", RelatedDropdownFilter))
    search_fields = ("vm__name", "host__name")
    list_select_related = ("vm", "host", "target")


@admin.register(StorageAttachment, site=site)
class StorageAttachmentAdmin(Rows):
    """Which host sees which storage."""

    list_display = ("storage", "host", "error", "observed_at")
    list_filter = (("storage", RelatedDropdownFilter), ("host", RelatedDropdownFilter))
    search_fields = ("storage__name", "host__name")
    list_select_related = ("storage", "host")


@admin.register(HostAgent, site=site)
class HostAgentAdmin(Rows):
    """Agents on hosts, and when they last reported; what they sign with is not shown."""

    list_display = ("host", "count", "seen_at")
    search_fields = ("host__name",)
    list_select_related = ("host",)
    exclude = ("secret",)


@admin.register(HostCertificate, site=site)
class HostCertificateAdmin(Rows):
    list_display = ("host", "until", "warned")
    search_fields = ("host__name",)
    list_select_related = ("host",)


@admin.register(HostInvitation, site=site)
class HostInvitationAdmin(Rows):
    """Codes that were handed out; the codes themselves are not shown."""

    list_display = ("name", "address", "cluster", "host", "user", "until", "used", "used_at")
    search_fields = ("name", "address")
    list_select_related = ("cluster", "host", "user")
    exclude = ("secret",)

    @display(description=_("Used"), boolean=True)
    def used(self, invitation: HostInvitation) -> bool:
        return invitation.used_at is not None
