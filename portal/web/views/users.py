"""People: the list, the page of one, the forms of local users, and keeping somebody out."""

from typing import Any

from django.db.models import Count
from django.http import HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find, visible_to
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from broker.directories.actions.create_user import create_user
from broker.directories.actions.disable_user import disable_user
from broker.directories.actions.edit_user import edit_user
from broker.directories.actions.enable_user import enable_user
from broker.directories.actions.reset_second_factor import reset_second_factor
from broker.directories.actions.set_password import set_password
from broker.directories.models import Directory, User
from portal.context import holds
from portal.web.access_page import rights_action
from portal.web.base import Deed, Page, done
from portal.web.form_page import FormPage
from portal.web.listing import Column, Filter, Listing
from portal.web.parts import Row, recent_events
from portal.web.people_forms import PasswordForm, UserForm
from portal.web.people_page import (
    desktops_of,
    groups_of,
    pools_of,
    rights_of,
    sessions_of,
    user_actions,
    user_cells,
    user_details,
    user_mark,
)

ACTIVE = (("True", gettext_lazy("Active")), ("False", gettext_lazy("Disabled")))


class Users(Page):
    template = "portal/manage/table.html"

    def content(self) -> dict[str, Any]:
        columns = (
            Column(_("Name"), "username"), Column(_("State"), "is_active"), Column(_("Directory"), "directory__name"),
            Column(_("E-mail"), "email"), Column(_("Desktops"), "desktop_count"),
            Column(_("Last sign-in"), "last_login"),
        )  # fmt: skip
        directories = [(str(pk), name) for pk, name in Directory.objects.values_list("pk", "name")]
        listing = Listing(
            self.request,
            visible_to(self.actor, User).select_related("directory").annotate(desktop_count=Count("desktops")),
            columns=columns,
            search=("username", "display_name", "email"),
            filters=(
                Filter("state", _("State"), "is_active", ACTIVE),
                Filter("directory", _("Directory"), "directory", directories),
            ),
            order="username",
        )
        return {
            "title": _("Users"),
            "empty": _("People appear here when they first sign in, when their directory is read, or made by hand."),
            "live_kinds": "user",
            "new_url": reverse("portal:user-new") if holds(self.actor, "user.manage") else "",
            "new_label": _("New user"),
            "listing": listing,
            "rows": [Row(user_cells(user)) for user in listing.page],
        }


class UserOne(Page):
    template = "portal/manage/detail.html"

    def content(self, pk: Any) -> dict[str, Any]:
        user = find(self.actor, User, pk)
        parts = (
            pools_of(self.actor, user), desktops_of(self.actor, user), groups_of(self.actor, user),
            rights_of(self.actor, user), sessions_of(self.actor, user),
        )  # fmt: skip
        return {
            "title": user.get_full_name(),
            "mark": user_mark(user),
            "under": user.username,
            "actions": [rights_action(user), *user_actions(self.actor, user)],
            "back_url": reverse("portal:users"),
            "back_label": _("Users"),
            "live_kinds": f"user:{user.pk} session desktop",
            "notices": [],
            "details": user_details(user),
            "relateds": [part for part in parts if part is not None],
            "events": recent_events("user", user.pk) if holds(self.actor, "event.view") else None,
        }


class NewUser(FormPage):
    verb = "user.manage"

    def form(self, data: Any) -> UserForm:
        return UserForm(data)

    def make(self, values: dict[str, Any]) -> str:
        user = create_user(actor=self.actor, **values)
        return reverse("portal:user", args=[user.pk])

    def words(self) -> dict[str, Any]:
        return {
            "title": _("New user"),
            "under": _("Kept here, with a password of Berth. People of a directory need not be made."),
            "submit": _("Make the user"),
            "back_url": reverse("portal:users"),
            "back_label": _("Users"),
        }


class EditUser(FormPage):
    def form(self, data: Any, pk: Any) -> UserForm:
        return UserForm(data, user=find(self.actor, User, pk, "user.manage"))

    def make(self, values: dict[str, Any], pk: Any) -> str:
        edit_user(actor=self.actor, user=find(self.actor, User, pk), **values)
        return reverse("portal:user", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        user = find(self.actor, User, pk)
        return {
            "title": _("Edit %(name)s") % {"name": user},
            "submit": _("Save"),
            "back_url": reverse("portal:user", args=[pk]),
            "back_label": str(user),
        }


class NewPassword(FormPage):
    def form(self, data: Any, pk: Any) -> PasswordForm:
        find(self.actor, User, pk, "user.manage")
        return PasswordForm(data)

    def make(self, values: dict[str, Any], pk: Any) -> str:
        set_password(actor=self.actor, user=find(self.actor, User, pk), **values)
        return reverse("portal:user", args=[pk])

    def words(self, pk: Any) -> dict[str, Any]:
        user = find(self.actor, User, pk)
        return {
            "title": _("New password for %(name)s") % {"name": user},
            "under": _("Sign-ins and API tokens made with the old one end."),
            "submit": _("Set the password"),
            "back_url": reverse("portal:user", args=[pk]),
            "back_label": str(user),
        }


class UserDeed(Deed):
    """Keep somebody out, let them in again, or take a lost second factor away."""

    VERBS = {
        "disable": (disable_user, gettext_lazy("The user is kept out; sessions and consoles end.")),
        "enable": (enable_user, gettext_lazy("The user may sign in again.")),
        "reset-second-factor": (reset_second_factor, gettext_lazy("The second factor is reset; sign-ins end.")),
    }

    def do(self, pk: Any, verb: str) -> HttpResponse:
        user = find(self.actor, User, pk)
        if verb not in self.VERBS:
            raise Missing(N_("There is no such action."), fix=N_("Go back and choose another."))
        action, told = self.VERBS[verb]
        action(actor=self.actor, user=user)
        return done(self.request, told)
