"""Quotas in the back office."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display

from broker.access.actions.create_quota import create_quota
from broker.access.actions.delete_quota import delete_quota
from broker.access.actions.edit_quota import edit_quota
from broker.access.models import Quota
from broker.access.resources import number
from broker.access.usage import uses
from portal.web.access_page import MODES, RESOURCE_WORDS, left_of, whose

from .rows import AMBER, GREEN, GREY, Rows
from .site import site

_TONES = {"off": GREY, "audit": AMBER, "enforced": GREEN}


@admin.register(Quota, site=site)
class QuotaAdmin(Rows):
    """What is used is counted for all rows of a page at once."""

    addable = editable = removable = True
    list_display = ("headline", "how", "used")
    list_filter = ("mode", ("group", RelatedDropdownFilter), ("cluster", RelatedDropdownFilter))
    search_fields = ("user__username", "group__name", "cluster__name")
    list_select_related = ("user", "group", "cluster")
    autocomplete_fields = ("user", "group")
    fields = (
        ("user", "group"), ("cluster", "each"), "mode", ("running", "vcpus", "memory_mib"), ("machines", "disk_gib"),
        ("threshold_percent", "grace_percent", "grace_hours"),
    )  # fmt: skip

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("user", "group", "cluster", "each") if obj else ()

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changelist = super().get_changelist_instance(request)
        counted = uses(changelist.result_list)
        for quota in changelist.result_list:
            quota.uses_now = counted[quota.pk]
        return changelist

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> Quota:
        return create_quota(actor=self.actor(request), **values)

    def change_by(self, request: HttpRequest, obj: Quota, values: dict[str, Any]) -> None:
        edit_quota(actor=self.actor(request), quota=Quota.objects.get(pk=obj.pk), **values)

    def remove_by(self, request: HttpRequest, obj: Quota) -> None:
        delete_quota(actor=self.actor(request), quota=obj)

    @display(description=_("Who"))
    def headline(self, quota: Quota) -> str:
        return str(whose(quota))

    @display(description=_("Mode"), label={MODES[mode].word: tone for mode, tone in _TONES.items()})
    def how(self, quota: Quota) -> Any:
        return MODES[quota.mode].word

    @display(description=_("Used"))
    def used(self, quota: Any) -> SafeString:
        return format_html_join(
            " · ", "{}: {} / {}{}",
            (
                (RESOURCE_WORDS[use.resource], number(use.used), use.limit, f" ({left})" if left else "")
                for use in quota.uses_now
                for left in (left_of(use),)
            ),
        )  # fmt: skip
