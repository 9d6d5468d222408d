"""A pool's schedule and opening hours in the back office: the rows of the portal's form, through the same action."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.widgets import CHECKBOX_CLASSES, INPUT_CLASSES

from broker.access.require import find
from broker.core.errors import BerthError
from pools.actions.edit_pool import edit_pool
from pools.calendar import zones
from pools.models import Pool
from portal.web.times_forms import TimesForm

from .rows import Rows, told
from .site import refused


def with_times(rows: type[Rows]) -> type[Rows]:
    """Class decorator: a button on a pool's page that leads to its times."""
    rows.edit_times = edit_times  # type: ignore[attr-defined]
    rows.actions_detail = ["edit_times", *(rows.actions_detail or ())]
    return rows


@action(description=gettext_lazy("Schedule and opening hours"), url_path="times", icon="schedule", permissions=["deed"])
def edit_times(self: Rows, request: HttpRequest, object_id: str) -> HttpResponse:
    """GET shows the rows, POST writes them."""
    pool = find(self.actor(request), Pool, object_id, "pool.manage")
    form = TimesForm(pool, request.POST if request.method == "POST" else None)
    back = reverse(f"{self.admin_site.name}:pools_pool_change", args=(pool.pk,))
    if request.method == "POST" and form.is_valid():
        try:
            edit_pool(actor=self.actor(request), pool=pool, **form.changes())
        except BerthError as error:
            refused(request, error, str(pool))
        else:
            told(request, _("The times of %(pool)s were saved.") % {"pool": pool})
            return HttpResponseRedirect(back)
    for row in (*form.schedule, *form.hours):
        for name, field in row.fields.items():
            classes = CHECKBOX_CLASSES if name in ("days", "DELETE") else INPUT_CLASSES
            field.widget.attrs["class"] = " ".join(classes)
    context: dict[str, Any] = {
        **self.admin_site.each_context(request),
        "opts": self.opts,
        "title": _("Times of %(pool)s") % {"pool": pool},
        "form": form,
        "parts": [
            (_("Other numbers at certain times"), form.schedule, True),
            (_("When desktops are handed out; without a row: always"), form.hours, False),
        ],
        "zones": sorted(zones()),
        "back": back,
    }
    request.current_app = self.admin_site.name  # type: ignore[attr-defined]
    status = 400 if request.method == "POST" else 200
    return render(request, "back_office/pool_times.html", context, status=status)
