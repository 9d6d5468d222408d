"""Pools: the list, the page of one, its form, who may use it, and what can be done to its desktops."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.models import Grant
from broker.access.require import find, may, visible_to
from broker.core.errors import BerthError, Invalid, Missing
from broker.core.text import gettext_noop as N_
from broker.directories.models import Group, User
from pools.actions.create_pool import create_pool
from pools.actions.delete_pool import delete_pool
from pools.actions.disentitle import disentitle
from pools.actions.edit_pool import edit_pool
from pools.actions.entitle import ROLE, entitle
from pools.actions.mend_desktop import mend_desktop
from pools.actions.release import release
from pools.actions.reset_desktop import reset_desktop
from pools.actions.retire_desktop import retire_desktop
from pools.booked import rules_for
from pools.models import Desktop, Pool
from pools.queries import find_desktop
from portal.context import holds
from portal.web import words
from portal.web.base import Deed, Page, SignedIn, done, refuse
from portal.web.booking_page import sentence as booking_sentence
from portal.web.bulk import BULK
from portal.web.forms import PoolForm
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, recent_events
from portal.web.pool_page import counted, desktop_rows, figures, notices, pool_row, settings_of
from portal.web.ready_part import ready_part
from portal.web.time_part import time_part
from portal.web.updates import rollout_part


class Pools(Page):
    template = "portal/manage/pools.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "title"), Column(_("State"), "state"), Column(_("Kind"), "kind"),
            Column(_("Template"), "template__name"), Column(_("In use"), "assigned"), Column(_("Free"), "free"),
            Column(_("Broken"), "broken"),
        )  # fmt: skip
        listing = Listing(
            self.request,
            counted(visible_to(self.actor, Pool).select_related("template")),
            columns=columns,
            search=("name", "title", "description"),
            filters=(Filter("kind", _("Kind"), "kind", list(Pool.Kind.choices)),),
            order="title",
        )
        return {
            "listing": listing,
            "rows": [pool_row(pool) for pool in listing.page],
            "new_url": reverse("portal:pool-new") if holds(self.actor, "pool.manage") else "",
        }


class PoolOne(Page):
    template = "portal/manage/pool.html"

    def content(self, pk: Any) -> dict[str, Any]:
        found = find(self.actor, Pool, pk)
        pool = counted(
            Pool.objects.filter(pk=found.pk).select_related("template", "version", "storage", "network", "cluster")
        ).get()
        manageable = may(self.actor, "pool.manage", pool)
        columns = (
            Column(_("Desktop"), "number"), Column(_("State"), "state"), Column(_("Machine"), "vm__power_state"),
            Column(_("Given to"), "holder__username"), Column(_("Since"), "held_since"), Column(""),
        )  # fmt: skip
        listing = Listing(
            self.request,
            Desktop.objects.filter(pool=pool).select_related("vm", "holder", "pool"),
            columns=columns,
            search=("vm__name", "holder__username"),
            filters=(Filter("state", _("State"), "state", [(key, mark.word) for key, mark in words.DESKTOP.items()]),),
            order="number",
        )
        return {
            "pool": pool,
            "mark": words.POOL.get(pool.state, words.UNKNOWN),
            "manageable": manageable,
            "delete": _delete(pool) if manageable and pool.state == "active" else None,
            "notices": notices(self.actor, pool),
            "figures": figures(pool),
            "listing": listing,
            "rows": desktop_rows(self.actor, list(listing.page), manageable=manageable),
            "bulk": BULK if manageable else (),
            "details": settings_of(pool),
            "entitled": _entitled(pool, manageable),
            "entitle_url": reverse("portal:pool-entitle", args=[pool.pk]) if manageable else "",
            "events": recent_events("pool", pool.pk, self.actor),
            "bookings": booking_sentence(rules_for(pool)),
            "rollout": rollout_part(pool, manageable=manageable),
            "ready": ready_part(pool, manageable=manageable),
            "time": time_part(self.request, pool, manageable=manageable),
        }


def _delete(pool: Pool) -> Action:
    text = _("The pool and all its desktops are removed. Desktops in use go when they are given back.")
    return Action(_("Delete"), reverse("portal:pool-delete", args=[pool.pk]), "trash", danger=True, confirm=text)


def _entitled(pool: Pool, manageable: bool) -> list[dict[str, Any]]:
    rows = Grant.objects.filter(object_kind="pool", object_id=pool.pk).select_related("user", "group", "role")
    return [
        {
            "name": str(grant.user or grant.group),
            "icon": "user" if grant.user_id else "users",
            "role": _(grant.role.title),
            "remove": Action(
                _("Take the right away"), reverse("portal:pool-disentitle", args=[pool.pk, grant.pk]), "x",
                confirm=_("%(name)s can no longer take a desktop here; open screens end.")
                % {"name": grant.user or grant.group},
            ) if manageable and grant.role.name == ROLE else None,
        }
        for grant in rows
    ]  # fmt: skip


class NewPool(SignedIn):
    """The form of a new pool; what the action refuses is shown at its field."""

    def get(self, request: HttpRequest) -> HttpResponse:
        return self._show(PoolForm(actor=self.actor))

    def post(self, request: HttpRequest) -> HttpResponse:
        form = PoolForm(request.POST, actor=self.actor)
        if form.is_valid():
            try:
                pool = create_pool(actor=self.actor, **form.cleaned_data)
            except BerthError as error:
                refuse(request, form, error)
            else:
                return HttpResponseRedirect(reverse("portal:pool", args=[pool.pk]))
        return self._show(form, status=400)

    def _show(self, form: PoolForm, status: int = 200) -> HttpResponse:
        context = {
            "form": form,
            "title": _("New pool"),
            "under": _("Its desktops are made at once, and handed out to those you allow."),
            "submit": _("Make the pool"),
            "back_url": reverse("portal:pools"),
            "back_label": _("Pools"),
        }
        return render(self.request, "portal/manage/form.html", context, status=status)


class EditPool(SignedIn):
    def get(self, request: HttpRequest, pk: Any) -> HttpResponse:
        pool = find(self.actor, Pool, pk, "pool.manage")
        return self._show(pool, PoolForm(actor=self.actor, pool=pool))

    def post(self, request: HttpRequest, pk: Any) -> HttpResponse:
        pool = find(self.actor, Pool, pk)
        form = PoolForm(request.POST, actor=self.actor, pool=pool)
        if form.is_valid():
            try:
                edit_pool(actor=self.actor, pool=pool, **form.cleaned_data)
            except BerthError as error:
                refuse(request, form, error)
            else:
                return HttpResponseRedirect(reverse("portal:pool", args=[pool.pk]))
        return self._show(pool, form, status=400)

    def _show(self, pool: Pool, form: PoolForm, status: int = 200) -> HttpResponse:
        context = {
            "form": form,
            "title": _("Edit %(pool)s") % {"pool": pool},
            "under": _("With another version, free desktops are rebuilt at once, the others when they are given back."),
            "submit": _("Save"),
            "back_url": reverse("portal:pool", args=[pool.pk]),
            "back_label": str(pool),
        }
        return render(self.request, "portal/manage/form.html", context, status=status)


class DeletePool(Deed):
    def do(self, pk: Any) -> HttpResponse:
        pool = find(self.actor, Pool, pk)
        delete_pool(actor=self.actor, pool=pool)
        return done(self.request, _("The pool is being deleted."), to=reverse("portal:pools"), leave=True)


class Entitle(Deed):
    """Let a user or a group take desktops, by name."""

    def do(self, pk: Any) -> HttpResponse:
        pool = find(self.actor, Pool, pk, "pool.manage")
        name = self.request.POST.get("name", "").replace("\0", "").strip()[:255]
        user = User.objects.filter(username__iexact=name).first()
        group = None if user else Group.objects.filter(name__iexact=name).first()
        if user is None and group is None:
            raise Invalid(
                N_("There is no user and no group called %(name)s."),
                fix=N_("Check the spelling."),
                field="name",
                name=name,
            )
        entitle(actor=self.actor, pool=pool, user=user, group=group)
        return done(self.request, _("%(name)s can take a desktop now.") % {"name": user or group})


class Disentitle(Deed):
    def do(self, pk: Any, grant: Any) -> HttpResponse:
        pool = find(self.actor, Pool, pk, "pool.manage")
        row = (
            Grant.objects.filter(pk=grant, object_kind="pool", object_id=pool.pk)
            .select_related("user", "group")
            .first()
        )
        if row is None:
            raise Missing(N_("That right was taken away already."), fix=N_("Load the page anew."))
        disentitle(actor=self.actor, pool=pool, user=row.user, group=row.group)
        return done(self.request, _("The right was taken away."))


class DesktopDeed(Deed):
    """Take a desktop back from its user, reset, mend or retire it."""

    VERBS = {"release": release, "reset": reset_desktop, "mend": mend_desktop, "retire": retire_desktop}

    def do(self, pk: Any, verb: str) -> HttpResponse:
        desktop = find_desktop(self.actor, pk)
        if verb not in self.VERBS:
            raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))
        self.VERBS[verb](actor=self.actor, desktop=desktop)
        return done(self.request, TOLD[verb])


TOLD = {
    "release": gettext_lazy("The desktop was taken back."),
    "reset": gettext_lazy("The desktop is being reset."),
    "mend": gettext_lazy("The desktop can be handed out again."),
    "retire": gettext_lazy("The desktop is being removed; the pool makes another."),
}
