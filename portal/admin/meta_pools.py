"""Meta-pools in the back office: which pools are behind them; their pools are chosen on the portal's page."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from pools.actions.delete_meta_pool import delete_meta_pool
from pools.actions.edit_meta_pool import edit_meta_pool
from pools.meta_values import EDITABLE
from pools.models import MetaPool

from .deeds import Deed, with_deeds
from .rows import Rows
from .site import site


@admin.register(MetaPool, site=site)
@with_deeds(
    Deed(
        "delete",
        _("Delete"),
        delete_meta_pool,
        "meta",
        _("Its pools stay, and everybody keeps the desktop they have. Nobody gets another through it."),
        "delete",
        destroys=True,
    )
)
class MetaPoolAdmin(Rows):
    editable = True
    list_display = ("title", "name", "policy", "members", "max_per_user")
    list_filter = (("policy", ChoicesDropdownFilter),)
    search_fields = ("name", "title")
    fieldsets = ((None, {"fields": (("name", "title"), "description", ("policy", "max_per_user"), "members")}),)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name", "members")

    def get_queryset(self, request: HttpRequest) -> QuerySet[MetaPool]:
        rows: QuerySet[MetaPool] = super().get_queryset(request)
        return rows.annotate(pool_count=Count("members"))

    def change_by(self, request: HttpRequest, obj: MetaPool, values: dict[str, Any]) -> None:
        changes = {name: value for name, value in values.items() if name in EDITABLE}
        edit_meta_pool(actor=self.actor(request), meta=obj, **changes)

    @display(description=_("Pools"), ordering="pool_count")
    def members(self, meta: Any) -> int:
        return int(meta.pool_count)
