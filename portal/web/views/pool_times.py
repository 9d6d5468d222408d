"""The page with a pool's schedule and opening hours."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse

from broker.access.require import find
from broker.core.errors import BerthError
from pools.actions.edit_pool import edit_pool
from pools.calendar import zones
from pools.models import Pool
from portal.web.base import SignedIn
from portal.web.parts import error_sentences
from portal.web.times_forms import TimesForm


class Times(SignedIn):
    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        pool = find(self.actor, Pool, pk, "pool.manage")
        return self._show(TimesForm(pool))

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        pool = find(self.actor, Pool, pk, "pool.manage")
        form = TimesForm(pool, request.POST)
        refusal = ""
        if form.is_valid():
            try:
                edit_pool(actor=self.actor, pool=pool, **form.changes())
            except BerthError as error:
                refusal = " ".join(error_sentences(error)).strip()
            else:
                return HttpResponseRedirect(reverse("portal:pool", args=[pool.pk]))
        return self._show(form, refusal, status=400)

    def _show(self, form: TimesForm, refusal: str = "", status: int = 200) -> HttpResponse:
        context = {
            "form": form,
            "pool": form.pool,
            "refusal": refusal,
            "zones": sorted(zones()),
            "back_url": reverse("portal:pool", args=[form.pool.pk]),
        }
        return render(self.request, "portal/manage/pool_times.html", context, status=status)
