"""Groups: the list, the page of one with its members, and what is done to them by hand."""

from typing import Any

from django.db import transaction
from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from broker.access.models import Grant
from broker.access.require import find, may, visible_to
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.actions.create_group import create_group
from broker.directories.actions.delete_group import delete_group
from broker.directories.actions.set_members import set_members
from broker.directories.models import Directory, Group, Membership, User
from portal.context import holds
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Action, Cell, Pair, Row, recent_events
from portal.web.people_forms import GroupForm
from portal.web.people_page import said_by, user_mark


class Groups(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        directories = [(str(pk), name) for pk, name in Directory.objects.values_list("pk", "name")]
        listing = Listing(
            self.request,
            visible_to(self.actor, Group).select_related("directory").annotate(size=Count("members")),
            columns=(
                Column(_("Name"), "name"), Column(_("Members"), "size"), Column(_("Directory"), "directory__name"),
            ),
            search=("name",),
            filters=(Filter("directory", _("Directory"), "directory", directories),),
            order="name",
        )  # fmt: skip
        return {
            "title": _("Groups"),
            "empty": _("Groups come from a directory when it is read, or are made by hand."),
            "live_kinds": "group",
            "new_url": reverse("portal:group-new") if holds(self.actor, "user.manage") else "",
            "new_label": _("New group"),
            "listing": listing,
            "rows": [
                Row([
                    Cell(group.name, reverse("portal:group", args=[group.pk])),
                    Cell(group.size),
                    Cell(group.directory.name),
                ])
                for group in listing.page
            ],
        }  # fmt: skip


class GroupOne(Page):
    template = "portal/manage/group.html"

    def content(self, pk: Any) -> dict[str, Any]:
        group = find(self.actor, Group, pk)
        manageable = may(self.actor, "user.manage", group)
        listing = Listing(
            self.request,
            visible_to(self.actor, User).filter(directory_groups=group),
            columns=(
                Column(_("Name"), "username"), Column(_("State"), "is_active"), Column(_("Kept")),
                Column(_("E-mail"), "email"),
            ),
            search=("username", "display_name", "email"),
            order="username",
        )  # fmt: skip
        users = list(listing.page)
        rows = {row.user_id: row for row in Membership.objects.filter(group=group, user__in=users)}
        grants = Grant.objects.filter(group=group).select_related("role") if may(self.actor, "system.view") else []
        return {
            "group": group,
            "listing": listing,
            "rows": [
                {
                    "user": user,
                    "mark": user_mark(user),
                    "url": reverse("portal:user", args=[user.pk]),
                    "kept": said_by(rows[user.pk]),
                    "remove": _removal(group, user) if manageable and rows[user.pk].by_hand else None,
                }
                for user in users
                if user.pk in rows
            ],
            "manageable": manageable,
            "delete": _deletion(group) if manageable and group.directory.kind == "local" else None,
            "details": [
                Pair(_("Directory"), group.directory.name),
                *(Pair(_("Role"), _(grant.role.title)) for grant in grants),
            ],
            "events": recent_events("group", group.pk) if holds(self.actor, "event.view") else None,
        }


class NewGroup(FormPage):
    verb = "user.manage"

    def form(self, data: Any) -> GroupForm:
        return GroupForm(data)

    def make(self, values: dict[str, Any]) -> str:
        group = create_group(actor=self.actor, **values)
        return reverse("portal:group", args=[group.pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New group"),
            "under": _("Kept here by hand. It may have members from every directory."),
            "submit": _("Make the group"),
            "back_url": reverse("portal:groups"),
            "back_label": _("Groups"),
        }


class AddMember(Deed):
    """Put somebody into a group by hand, by name."""

    def do(self, pk: Any) -> HttpResponse:
        group = find(self.actor, Group, pk)
        name = self.request.POST.get("name", "").replace("\0", "").strip()[:150]
        user = visible_to(self.actor, User).filter(username__iexact=name).first()
        if user is None:
            raise Invalid(
                N_("There is no user called %(name)s."), fix=N_("Check the spelling."), field="name", name=name
            )
        with transaction.atomic():
            members = _locked(group)
            set_members(actor=self.actor, group=group, members=[*members, user])
        return done(self.request, _("%(name)s is in the group now.") % {"name": user})


class RemoveMember(Deed):
    def do(self, pk: Any, user: Any) -> HttpResponse:
        group = find(self.actor, Group, pk)
        with transaction.atomic():
            members = _locked(group)
            set_members(actor=self.actor, group=group, members=[one for one in members if one.pk != user])
        return done(self.request, _("The member was taken out."))


class DeleteGroup(Deed):
    def do(self, pk: Any) -> HttpResponse:
        delete_group(actor=self.actor, group=find(self.actor, Group, pk))
        return done(self.request, _("The group was removed."), to=reverse("portal:groups"), leave=True)


def _locked(group: Group) -> list[User]:
    """The members by hand, while nobody else changes them: two people may add somebody at the same time."""
    Group.objects.select_for_update().get(pk=group.pk)
    return list(User.objects.filter(memberships__group=group, memberships__by_hand=True))


def _removal(group: Group, user: User) -> Action:
    text = _("%(name)s loses what the group may use; open screens end.") % {"name": user}
    address = reverse("portal:group-remove", args=[group.pk, user.pk])
    return Action(_("Take %(name)s out") % {"name": user}, address, "x", confirm=text)


def _deletion(group: Group) -> Action:
    text = _("The group goes, and what was granted to it.")
    return Action(_("Delete"), reverse("portal:group-delete", args=[group.pk]), "trash", danger=True, confirm=text)
