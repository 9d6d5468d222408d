"""Roles: the list, the page of one, and making, copying, changing and removing one's own."""

from typing import Any

from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.actions.create_role import create_role
from broker.access.actions.delete_role import delete_role
from broker.access.actions.demand_second_factor import demand_second_factor
from broker.access.actions.edit_role import edit_role
from broker.access.models import Role
from broker.access.queries import grants, roles
from broker.access.require import may, require
from broker.access.roles import covers
from broker.access.verbs import VERBS
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from portal.context import holds
from portal.web.access_forms import EditRoleForm, RoleForm
from portal.web.access_page import names_of, place
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, Cell, Pair, Related, Row, recent_events
from portal.web.second_factor_words import whom_it_hits

MOST_HOLDERS = 200


class Roles(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Role"), "title"), Column(_("Name"), "name"), Column(_("Kind"), "builtin"), Column(_("Rights")),
            Column(_("Given"), "given"),
        )  # fmt: skip
        listing = Listing(
            self.request,
            roles(self.actor).annotate(given=Count("grants")),
            columns=columns,
            search=("name", "title"),
            filters=(Filter("kind", _("Kind"), "builtin", [("True", _("Predefined")), ("False", _("Own"))]),),
            order="name",
        )
        return {
            "title": _("Roles"),
            "under": _("What people may do. A role is given to a user or a group, on one object or on everything."),
            "empty": _("No role to see."),
            "live_kinds": "grant",
            "new_url": reverse("portal:role-new") if may(self.actor, "system.manage") else "",
            "new_label": _("New role"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(_(role.title), reverse("portal:role", args=[role.pk])),
                    Cell(role.name),
                    Cell(_("Predefined") if role.builtin else _("Own")),
                    Cell(_count(role)),
                    Cell(role.given),
                ])
                for role in listing.page
            ],
        }  # fmt: skip


def _count(role: Role) -> str:
    covered = sum(covers(role.verbs, verb) for verb in VERBS)
    return _("all") if "*" in role.verbs else str(covered)


def seen_role(view: Any, pk: Any) -> Role:
    """The role, if the reader may see roles; else Missing."""
    role = roles(view.actor).filter(pk=pk).first()
    if role is None:
        raise Missing(N_("There is no such role."), fix=N_("Go back to the list; it may have been removed."))
    return role


class RoleOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        role = seen_role(self, pk)
        holders = list(grants(self.actor).filter(role=role).order_by("-created_at")[:MOST_HOLDERS])
        names = names_of(self.actor, holders)
        return {
            "title": _(role.title),
            "under": _("comes with Berth") if role.builtin else _("a role of your own"),
            "back_url": reverse("portal:roles"),
            "back_label": _("Roles"),
            "live_kinds": "grant",
            "actions": self._actions(role) if may(self.actor, "system.manage") else [],
            "details": [
                Pair(_("Name"), role.name),
                Pair(_("Written as"), ", ".join(role.verbs) or "–"),
                Pair(_("Given"), str(role.grants.count())),
                Pair(_("Second factor"), _("demanded") if role.second_factor else _("not demanded")),
            ],
            "relateds": [
                Related(
                    _("Rights"),
                    [_("Right"), _("What it allows")],
                    [Row([Cell(verb), Cell(_(words))]) for verb, words in VERBS.items() if covers(role.verbs, verb)],
                    _("None: it gives nothing."),
                ),
                Related(
                    _("Who has it"),
                    [_("Who"), _("On"), _("Since")],
                    [
                        Row([
                            Cell(str(grant.user or grant.group), under="" if grant.user else _("group")),
                            Cell(place(grant, names)),
                            Cell(moment=grant.created_at),
                        ])
                        for grant in holders
                    ],
                    _("Nobody."),
                ),
            ],
            "events": recent_events("role", role.pk) if holds(self.actor, "event.view") else None,
        }  # fmt: skip

    def _actions(self, role: Role) -> list[Action]:
        copy = Action(_("Copy"), reverse("portal:role-copy", args=[role.pk]), "copy", link=True)
        if role.second_factor:
            address = reverse("portal:role-second-factor", args=[role.pk, "no"])
            demand = Action(_("Demand no second factor"), address, "shield")
        else:
            address = reverse("portal:role-second-factor", args=[role.pk, "yes"])
            text = _("Whoever holds the role signs in with a code beside the password; who has none sets it up then.")
            hits = whom_it_hits(role, self.actor)
            demand = Action(_("Demand a second factor"), address, "shield", confirm=f"{text} {hits}")
        if role.builtin:
            return [copy, demand]
        text = _("The role %(name)s is removed; this cannot be undone.") % {"name": role}
        return [
            copy,
            demand,
            Action(_("Edit"), reverse("portal:role-edit", args=[role.pk]), "edit", link=True),
            Action(_("Delete"), reverse("portal:role-delete", args=[role.pk]), "trash", danger=True, confirm=text),
        ]


class RoleFormPage(FormPage):
    """Its check boxes come in groups, which the usual form does not draw."""

    verb = "system.manage"
    template = "portal/manage/role_form.html"


class NewRole(RoleFormPage):
    def form(self, data: Any) -> StyledForm:
        return RoleForm(data, actor=self.actor)

    def make(self, values: dict[str, Any]) -> str:
        return reverse("portal:role", args=[create_role(actor=self.actor, **values).pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New role"),
            "under": _("Choose what it allows. You can write into it only what you may do yourself."),
            "submit": _("Make the role"),
            "back_url": reverse("portal:roles"),
            "back_label": _("Roles"),
        }


class CopyRole(RoleFormPage):
    """A role of one's own that begins with the rights of another."""

    def form(self, data: Any, pk: Any) -> StyledForm:
        return RoleForm(data, actor=self.actor, like=seen_role(self, pk))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        return reverse("portal:role", args=[create_role(actor=self.actor, **values).pk])

    def words(self, pk: Any) -> dict[str, Any]:
        role = seen_role(self, pk)
        return {
            "title": _("Copy of %(role)s") % {"role": _(role.title)},
            "under": _("It begins with the rights of %(role)s.") % {"role": _(role.title)},
            "submit": _("Make the role"),
            "back_url": reverse("portal:role", args=[pk]),
            "back_label": _(role.title),
        }


class EditRole(RoleFormPage):
    def form(self, data: Any, pk: Any) -> StyledForm:
        require(self.actor, "system.manage")
        return EditRoleForm(data, actor=self.actor, role=seen_role(self, pk))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_role(actor=self.actor, role=seen_role(self, pk), **values)
        return reverse("portal:role", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        role = seen_role(self, pk)
        return {
            "title": _("Edit %(role)s") % {"role": _(role.title)},
            "under": _("The change counts at once for everybody who has the role."),
            "submit": _("Save"),
            "back_url": reverse("portal:role", args=[pk]),
            "back_label": _(role.title),
        }


class SecondFactorOfRole(Deed):
    def do(self, pk: Any, wanted: str) -> HttpResponse:
        role = demand_second_factor(actor=self.actor, role=seen_role(self, pk), demanded=wanted == "yes")
        return done(self.request, _("It is demanded now.") if role.second_factor else _("It is not demanded any more."))


class DeleteRole(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_role(actor=self.actor, role=seen_role(self, pk))
        return done(self.request, _("The role was removed."), to=reverse("portal:roles"), leave=True)
