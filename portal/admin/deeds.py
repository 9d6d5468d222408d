"""Verbs of a list: in the row's menu, at the top of the object's page and for many at once.

A link must change nothing, so a verb from a menu always shows a page that names the consequence and posts from
there; for many at once, only what destroys something asks back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from unfold.decorators import action
from unfold.enums import ActionVariant

from broker.core.errors import BerthError, Missing
from broker.core.text import gettext_noop as N_
from broker.jobs.models import Job

from .rows import Rows, told
from .site import refused


@dataclass(frozen=True)
class Deed:
    """`call(actor=…, <subject>=obj)` does it. `consequence` is said before; `destroys` asks back for many too."""

    name: str
    title: Any
    call: Callable[..., Any]
    subject: str
    consequence: Any
    icon: str = "bolt"
    destroys: bool = False


DEEDS: list[Deed] = []
"""All there are."""


def with_deeds(*deeds: Deed) -> Callable[[type[Rows]], type[Rows]]:
    """Class decorator: give the list these verbs."""

    def decorate(rows: type[Rows]) -> type[Rows]:
        DEEDS.extend(deeds)
        for deed in deeds:
            setattr(rows, f"do_{deed.name}", _single(deed))
            setattr(rows, f"do_{deed.name}_to_many", _many(deed))
        names = [f"do_{deed.name}" for deed in deeds]
        rows.actions_row = rows.actions_detail = names
        rows.actions = [*(rows.actions or ()), *(f"{name}_to_many" for name in names)]
        return rows

    return decorate


def _single(deed: Deed) -> Any:
    def one(self: Rows, request: HttpRequest, object_id: str) -> HttpResponse:
        obj = self.get_object(request, object_id)
        if obj is None:
            raise Missing(N_("There is no such object."), fix=N_("Go back to the list; it may have been removed."))
        back = reverse(f"{self.admin_site.name}:{self.opts.app_label}_{self.opts.model_name}_changelist")
        if request.method != "POST":
            return _ask(self, request, deed, [obj], back)
        _do(self, request, deed, [obj])
        return HttpResponseRedirect(back)

    one.__name__ = f"do_{deed.name}"
    variant = ActionVariant.DANGER if deed.destroys else ActionVariant.DEFAULT
    return action(description=deed.title, url_path=deed.name, icon=deed.icon, permissions=["deed"], variant=variant)(
        one
    )


def _many(deed: Deed) -> Any:
    @admin.action(description=deed.title, permissions=["deed"])
    def many(self: Rows, request: HttpRequest, queryset: Any) -> HttpResponse | None:
        objects = list(queryset)
        if deed.destroys and request.POST.get("confirmed") != "yes":
            return _ask(self, request, deed, objects, request.get_full_path(), many=True)
        _do(self, request, deed, objects)
        return None

    many.__name__ = f"do_{deed.name}_to_many"
    return many


def _ask(
    self: Rows, request: HttpRequest, deed: Deed, objects: list[Any], back: str, *, many: bool = False
) -> HttpResponse:
    context = {
        **self.admin_site.each_context(request),
        "opts": self.opts,
        "title": deed.title,
        "deed": deed,
        "objects": objects,
        "many": many,
        "back": back,
        "action_name": f"do_{deed.name}_to_many",
    }
    request.current_app = self.admin_site.name  # type: ignore[attr-defined]
    return render(request, "back_office/confirm.html", context)


def _do(self: Rows, request: HttpRequest, deed: Deed, objects: list[Any]) -> None:
    for obj in objects:
        try:
            result = deed.call(actor=self.actor(request), **{deed.subject: obj})
        except BerthError as error:
            refused(request, error, str(obj))
        else:
            sentence = _("%(what)s: %(name)s") % {"what": deed.title, "name": obj}
            told(request, sentence, result if isinstance(result, Job) else None)
