"""Pools, desktops and who had which, in the back office."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from pools.actions.create_pool import create_pool
from pools.actions.delete_pool import delete_pool
from pools.actions.edit_pool import EDITABLE, edit_pool
from pools.actions.mend_desktop import mend_desktop
from pools.actions.release import release
from pools.actions.reset_desktop import reset_desktop
from pools.actions.retire_desktop import retire_desktop
from pools.models import Assignment, Desktop, Pool, PoolWaiter
from pools.states import DesktopState
from portal.api.serializers.common import cause

from .deeds import Deed, with_deeds
from .pool_times import with_times
from .rows import AMBER, BLUE, GREEN, POWER, RED, Rows, bar, link, worded
from .site import site

DESKTOP = {"free": GREEN, "assigned": BLUE, "building": BLUE, "resetting": AMBER, "retiring": AMBER, "broken": RED}


@admin.register(Pool, site=site)
@with_times
@with_deeds(
    Deed(
        "delete",
        _("Delete"),
        delete_pool,
        "pool",
        _(
            "Nothing is handed out any more, and all desktops are removed with their disks. "
            "Refused while somebody has one."
        ),
        "delete",
        destroys=True,
    )
)
class PoolAdmin(Rows):
    addable = editable = True
    list_display = ("headline", "life", "kind", "stateful", "use", "free", "size", "prestarted", "template", "trouble")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("template", RelatedDropdownFilter),
    )
    search_fields = ("name", "title")
    list_select_related = ("template",)
    fieldsets = (
        (None, {"fields": (("name", "title"), "description", ("life", "trouble"))}),
        (
            _("Desktops"),
            {"fields": (("template", "version"), ("storage", "network"), ("kind", "stateful"), "name_pattern")},
        ),
        (_("How many"), {"fields": (("size", "prestarted", "suspended", "max_per_user"),)}),
        (_("When"), {"fields": (("forecast", "zone"), ("after_hours", "protected"))}),
    )
    add_fieldsets = (
        (None, {"fields": (("name", "title"), "description")}),
        (
            _("Desktops"),
            {
                "fields": (
                    ("template", "version"),
                    ("storage", "network"),
                    ("kind", "stateful"),
                    ("name_pattern", "cluster"),
                )
            },
        ),
        (_("How many"), {"fields": (("size", "prestarted", "suspended", "max_per_user"),)}),
        (_("When"), {"fields": (("forecast", "zone"), ("after_hours", "protected"))}),
    )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        field: forms.Field | None = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "cluster":
            field.required, field.help_text = False, _("Of a pool of physical PCs only, which has no template.")
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        fixed = ("life", "trouble")
        return fixed if obj is None else (*fixed, "name", "template", "storage", "network")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Pool]:
        rows: QuerySet[Pool] = super().get_queryset(request)
        return rows.annotate(
            in_use=Count("desktops", filter=Q(desktops__state=DesktopState.ASSIGNED)),
            unused=Count("desktops", filter=Q(desktops__state=DesktopState.FREE)),
        )

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> Pool:
        return create_pool(actor=self.actor(request), **values)

    def change_by(self, request: HttpRequest, obj: Pool, values: dict[str, Any]) -> None:
        changes = {name: value for name, value in values.items() if name in EDITABLE}
        edit_pool(actor=self.actor(request), pool=obj, **changes)

    @display(description=_("Name"), ordering="title", header=True)
    def headline(self, pool: Pool) -> list[str]:
        return [pool.title, pool.name, pool.name[:2].upper()]

    @display(description=_("State"), ordering="state", label={"active": GREEN, "deleting": AMBER})
    def life(self, pool: Pool) -> tuple[str, str]:
        return worded(pool.state)

    @display(description=_("In use"), ordering="in_use")
    def use(self, pool: Any) -> Any:
        return bar(round(100 * pool.in_use / max(pool.size, 1)), f"{pool.in_use} / {pool.size}")

    @display(description=_("Free"), ordering="unused")
    def free(self, pool: Any) -> int:
        return int(pool.unused)

    @display(description=_("Trouble"))
    def trouble(self, pool: Pool) -> str:
        problem = cause(pool.alert)
        return f"{problem['message']} {problem['fix']}" if problem else "–"


@admin.register(Desktop, site=site)
@with_deeds(
    Deed(
        "release",
        _("Take back"),
        release,
        "desktop",
        _("Its user loses it at once; on a stateless desktop everything they left is removed."),
        "undo",
        destroys=True,
    ),
    Deed(
        "reset",
        _("Reset"),
        reset_desktop,
        "desktop",
        _("Its disks are made afresh from the template."),
        "restart_alt",
        destroys=True,
    ),
    Deed(
        "mend",
        _("Hand out again"),
        mend_desktop,
        "desktop",
        _("The broken desktop is handed out again as it is."),
        "healing",
    ),
    Deed(
        "retire",
        _("Retire"),
        retire_desktop,
        "desktop",
        _("It is deleted with its disks; the pool makes another."),
        "delete",
        destroys=True,
    ),
)
class DesktopAdmin(Rows):
    list_display = ("machine", "pool_link", "number", "life", "power", "holder_link", "held_since", "failures")
    list_filter = (("state", ChoicesDropdownFilter), ("pool", RelatedDropdownFilter))
    search_fields = ("vm__name", "holder__username", "pool__name")
    list_select_related = ("vm", "pool", "holder")

    @display(description=_("Machine"), ordering="vm__name")
    def machine(self, desktop: Desktop) -> Any:
        return link(desktop.vm)

    @display(description=_("Pool"), ordering="pool")
    def pool_link(self, desktop: Desktop) -> Any:
        return link(desktop.pool)

    @display(description=_("In use by"), ordering="holder")
    def holder_link(self, desktop: Desktop) -> Any:
        return link(desktop.holder)

    @display(description=_("State"), ordering="state", label=DESKTOP)
    def life(self, desktop: Desktop) -> tuple[str, str]:
        return worded(desktop.state)

    @display(description=_("Power"), label=POWER)
    def power(self, desktop: Desktop) -> tuple[str, str]:
        return worded(desktop.vm.power_state)


@admin.register(Assignment, site=site)
class AssignmentAdmin(Rows):
    """Who had which desktop, from when to when."""

    list_display = ("user", "desktop_name", "pool", "since", "until", "reason")
    list_filter = (("pool", RelatedDropdownFilter),)
    search_fields = ("user__username", "desktop_name")
    list_select_related = ("user", "pool")


@admin.register(PoolWaiter, site=site)
class PoolWaiterAdmin(Rows):
    """Who waits for a desktop, in the order of the queue."""

    list_display = ("user", "pool", "via", "joined_at", "seen_at", "desktop")
    list_filter = (("pool", RelatedDropdownFilter),)
    search_fields = ("user__username", "pool__name")
    list_select_related = ("user", "pool", "via", "desktop__vm")
