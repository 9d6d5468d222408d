"""What all lists of the admin share: looking is free, changing goes through actions, history is the events."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from broker.access.actor import Actor
from portal.admin.site import site
from portal.templatetags.berth import bytesize

GREEN, AMBER, RED, BLUE, GREY = "success", "warning", "danger", "info", "default"
POWER = {
    "running": GREEN, "off": GREY, "paused": AMBER, "suspended": BLUE, "crashed": RED, "missing": RED, "unknown": AMBER,
}  # fmt: skip


def worded(value: str) -> tuple[str, str]:
    """For a column with a colour for each value: the value, and its word in the reader's language."""
    return value, _(value) if value else ""


class Rows(ModelAdmin):
    """A read-only list; subclasses say what may be changed, and by which action."""

    list_fullwidth = True
    list_filter_submit = True
    compressed_fields = True
    show_full_result_count = False
    list_per_page = 50
    addable = editable = removable = False

    class Media:
        js = ("berth/js/back-office.js",)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.addable and bool(super().has_add_permission(request))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.editable and bool(super().has_change_permission(request, obj))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.removable and bool(super().has_delete_permission(request, obj))

    def has_deed_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whether the verbs for many are offered; each is judged by its action."""
        return bool(request.user.has_perm("system.manage"))

    def actor(self, request: HttpRequest) -> Actor:
        actor: Actor = request.actor  # type: ignore[attr-defined]
        return actor

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Call `change_by` or `add_by`; the row itself is written by the action."""
        values = dict(form.cleaned_data)
        if change:
            # The form has put the values into `obj` already; actions compare with what is there.
            row = type(obj)._default_manager.get(pk=obj.pk)
            self.change_by(request, row, {name: values[name] for name in form.changed_data if name in values})
        else:
            made = self.add_by(request, values)
            obj.__dict__.update(made.__dict__)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Nothing: what belongs to a row is written by the action too."""

    def change_by(self, request: HttpRequest, obj: Any, values: dict[str, Any]) -> None:
        """Call the action that edits; of those that offer a change."""
        raise NotImplementedError

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> models.Model:
        """Call the action that makes one, and return it; of those that can be added."""
        raise NotImplementedError

    def remove_by(self, request: HttpRequest, obj: Any) -> None:
        """Call the action that deletes; of those that can be deleted."""
        raise NotImplementedError

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self.remove_by(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        for obj in queryset:
            self.remove_by(request, obj)

    def construct_change_message(self, *args: Any, **kwargs: Any) -> list[Any]:
        """For Django's own log, which is not kept."""
        return []

    def log_addition(self, *args: Any) -> None:
        """The action records an Event; a second log could tell another story."""

    log_change = log_deletion = log_deletions = log_addition

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        return HttpResponseRedirect(reverse("admin:events_event_changelist") + "?" + urlencode({"q": object_id}))


class Sized(Rows):
    """Rows that take so many bytes."""

    @display(description=gettext_lazy("Size"), ordering="size_bytes")
    def size(self, obj: Any) -> str:
        return str(bytesize(obj.size_bytes))


def life(colours: dict[str, str]) -> Callable[[Any, Any], str]:
    """The column of a state, each in its colour."""

    @display(description=gettext_lazy("State"), ordering="state", label=colours)
    def shown(self: Any, obj: Any) -> tuple[str, str]:
        return worded(str(obj.state))

    return shown  # type: ignore[no-any-return]


class Inline(TabularInline):
    """What belongs to a row, to look at."""

    extra = 0
    tab = True
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


def link(obj: models.Model | None) -> SafeString | str:
    """The object's name, leading to its admin page."""
    if obj is None:
        return "–"
    opts = obj._meta
    return format_html(
        '<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>',
        reverse(f"{site.name}:{opts.app_label}_{opts.model_name}_change", args=(obj.pk,)),
        obj,
    )


def bar(percent: int | None, title: str = "") -> SafeString | str:
    """A small bar of load, its colour by how full it is."""
    if percent is None:
        return "–"
    colour = "bg-green-600" if percent < 60 else "bg-orange-500" if percent < 90 else "bg-red-600"
    return format_html(
        '<div class="bg-base-200 dark:bg-base-800 rounded-default h-1.5 w-20" title="{}">'
        '<div class="{} rounded-default h-1.5" style="width:{}%"></div></div>',
        title or f"{percent} %", colour, min(max(percent, 0), 100),
    )  # fmt: skip


def told(request: HttpRequest, sentence: str, job: Any = None) -> None:
    """A message of success, with a link to the job that is at work."""
    if job is None:
        messages.success(request, sentence)
        return
    address = reverse(f"{site.name}:jobs_job_change", args=(job.pk,))
    messages.success(
        request, format_html('{} <a class="underline" href="{}">{}</a>', sentence, address, _("Follow the job"))
    )
