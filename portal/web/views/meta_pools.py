"""Meta-pools: the list, the page of one, its form, and why somebody would get no desktop through it."""

from typing import Any

from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.require import find, may, visible_to
from broker.directories.models import User
from pools.actions.create_meta_pool import create_meta_pool
from pools.actions.delete_meta_pool import delete_meta_pool
from pools.actions.edit_meta_pool import edit_meta_pool
from pools.explain_meta import explain_meta_allocation
from pools.models import MetaPool
from portal.context import holds
from portal.explained import explained
from portal.web.access_page import permission_actions
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.listing import Column, Listing
from portal.web.meta_page import MetaPoolForm, entitled_to, members_of
from portal.web.parts import Action, Cell, Pair, Row, recent_events

from .explain import LONGEST_NAME


class MetaPools(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "title"), Column(_("Which pool serves"), "policy"), Column(_("Pools"), "pool_count"),
            Column(_("Most for one user"), "max_per_user"),
        )  # fmt: skip
        rows = visible_to(self.actor, MetaPool).annotate(pool_count=Count("members"))
        listing = Listing(self.request, rows, columns=columns, search=("name", "title", "description"), order="title")
        return {
            "title": _("Meta-pools"),
            "under": _("Several pools that users see as one."),
            "empty": _("A meta-pool gives a desktop of one of its pools: the next one, when the first cannot."),
            "new_url": reverse("portal:meta-pool-new") if holds(self.actor, "meta-pool.manage") else "",
            "new_label": _("New meta-pool"),
            "live_kinds": "meta-pool",
            "listing": listing,
            "rows": [
                Row(
                    [
                        Cell(str(row), url=reverse("portal:meta-pool", args=[row.pk]), under=row.name),
                        Cell(row.get_policy_display()), Cell(row.pool_count), Cell(row.max_per_user),
                    ]
                )
                for row in listing.page
            ],
        }  # fmt: skip


class MetaPoolOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        meta = find(self.actor, MetaPool, pk)
        manageable = may(self.actor, "meta-pool.manage", meta)
        knows = manageable or may(self.actor, "system.view")
        return {
            "title": str(meta),
            "under": f"{meta.name} · {meta.description}" if meta.description else meta.name,
            "back_url": reverse("portal:meta-pools"),
            "back_label": _("Meta-pools"),
            "live_kinds": f"meta-pool:{meta.pk} pool desktop",
            "actions": [*(_explains(meta) if manageable else ()), *permission_actions(self.actor, "meta-pool", meta),
                        *(_changes(meta) if manageable else ())],
            "details": [
                Pair(_("Which pool serves"), meta.get_policy_display()),
                Pair(_("Most for one user"), str(meta.max_per_user)),
            ],
            "relateds": [members_of(self.actor, meta), *([entitled_to(meta)] if knows else ())],
            "events": recent_events("meta-pool", meta.pk, self.actor) if knows else None,
        }  # fmt: skip


def _explains(meta: MetaPool) -> list[Action]:
    return [Action(_("Why not?"), reverse("portal:meta-pool-explain", args=[meta.pk]), "help-circle", link=True)]


def _changes(meta: MetaPool) -> list[Action]:
    text = _("Its pools stay, and everybody keeps the desktop they have. Nobody gets another through it.")
    return [
        Action(_("Edit"), reverse("portal:meta-pool-edit", args=[meta.pk]), "edit", link=True),
        Action(_("Delete"), reverse("portal:meta-pool-delete", args=[meta.pk]), "trash", danger=True, confirm=text),
    ]


class NewMetaPool(FormPage):
    verb = "meta-pool.manage"

    def form(self, data: Any) -> MetaPoolForm:
        return MetaPoolForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        meta = create_meta_pool(actor=self.actor, **values)
        return reverse("portal:meta-pool", args=[meta.pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New meta-pool"),
            "under": _("Whoever may use it gets desktops of its pools, without a right on each."),
            "submit": _("Make the meta-pool"),
            "back_url": reverse("portal:meta-pools"),
            "back_label": _("Meta-pools"),
        }


class EditMetaPool(FormPage):
    def form(self, data: Any, pk: Any) -> MetaPoolForm:
        meta = find(self.actor, MetaPool, pk, "meta-pool.manage")
        return MetaPoolForm(data, actor=self.actor, meta=meta)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_meta_pool(actor=self.actor, meta=find(self.actor, MetaPool, pk), **values)
        return reverse("portal:meta-pool", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        meta = find(self.actor, MetaPool, pk)
        return {
            "title": _("Edit %(name)s") % {"name": meta},
            "under": _("Nobody loses a desktop by it."),
            "submit": _("Save"),
            "back_url": reverse("portal:meta-pool", args=[pk]),
            "back_label": str(meta),
        }


class DeleteMetaPool(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_meta_pool(actor=self.actor, meta=find(self.actor, MetaPool, pk))
        return done(self.request, _("The meta-pool was deleted."), to=reverse("portal:meta-pools"), leave=True)


class Explain(Page):
    """?user=NAME: what Connect would come to for that user, and what each pool says."""

    template = "portal/manage/explain.html"

    def content(self, pk: Any) -> dict[str, Any]:
        meta = find(self.actor, MetaPool, pk, "meta-pool.manage")
        name = self.request.GET.get("user", "").replace("\0", "").strip()[:LONGEST_NAME]
        user = visible_to(self.actor, User).filter(username__iexact=name).first() if name else None
        answer = explain_meta_allocation(actor=self.actor, meta=meta, user=user) if user else None
        return {
            "title": _("Why would somebody get no desktop?"),
            "under": str(meta),
            "back_url": reverse("portal:meta-pool", args=[meta.pk]),
            "back_label": str(meta),
            "asks": True,
            "name": name,
            "unknown": bool(name) and user is None,
            "answer": explained(self.actor, answer) if answer else None,
        }
