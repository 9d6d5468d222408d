"""Users, groups, roles, grants and API tokens in the back office."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import RelatedDropdownFilter
from unfold.decorators import display
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminUUIDInputWidget,
)

from broker.access.actions.create_role import create_role
from broker.access.actions.delete_role import delete_role
from broker.access.actions.edit_role import edit_role
from broker.access.actions.grant import grant
from broker.access.actions.revoke import revoke
from broker.access.actor import Actor
from broker.access.kinds import GRANTABLE, KINDS
from broker.access.models import Grant, Role
from broker.access.objects import granted_object
from broker.core.errors import Invalid
from broker.directories.actions.create_group import create_group
from broker.directories.actions.create_user import create_user
from broker.directories.actions.delete_directory import delete_directory
from broker.directories.actions.delete_group import delete_group
from broker.directories.actions.disable_user import disable_user
from broker.directories.actions.edit_directory import edit_directory
from broker.directories.actions.edit_user import edit_user
from broker.directories.actions.enable_user import enable_user
from broker.directories.actions.reset_second_factor import reset_second_factor
from broker.directories.actions.set_members import set_members
from broker.directories.actions.set_password import set_password
from broker.directories.actions.sync_directory import sync_directory
from broker.directories.models import Directory, Group, User
from portal.models import ApiToken
from portal.tokens import revoke_token
from portal.web.parts import stored_sentences
from portal.web.second_factor_words import whom_it_hits
from portal.web.token_words import sentences

from .deeds import Deed, with_deeds
from .rows import GREEN, GREY, RED, Rows, link
from .site import site


@admin.register(Directory, site=site)
@with_deeds(
    Deed("sync", _("Read it now"), sync_directory, "directory", _("Users and groups are read anew."), "sync"),
)
class DirectoryAdmin(Rows):
    """Where users come from. Settings are changed on the portal's page, which can try them out first."""

    editable = removable = True
    list_display = ("name", "kind", "status", "order", "synced_at")
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    fields = (
        "name",
        "order",
        "enabled",
        "second_factor",
        "guest_name",
        "kind",
        "tickets",
        "synced_at",
        "trouble",
        "settings_page",
    )
    readonly_fields = ("kind", "tickets", "synced_at", "trouble", "settings_page")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj and not obj.second_factor:
            kwargs["help_texts"] = {"second_factor": whom_it_hits(obj, self.actor(request))}
        return super().get_form(request, obj, change, **kwargs)

    def change_by(self, request: HttpRequest, obj: Directory, values: dict[str, Any]) -> None:
        edit_directory(actor=self.actor(request), directory=obj, **values)

    def remove_by(self, request: HttpRequest, obj: Directory) -> None:
        delete_directory(actor=self.actor(request), directory=obj)

    @display(
        description=_("Status"),
        ordering="enabled",
        label={_("in use"): GREEN, _("trouble"): RED, _("off"): GREY},
    )
    def status(self, row: Directory) -> Any:
        return (_("trouble") if row.sync_error else _("in use")) if row.enabled else _("off")

    @display(description=_("Kerberos tickets"))
    def tickets(self, row: Directory) -> str:
        return ", ".join(row.config.get("kerberos_realms", ())) if row.config.get("kerberos") else "–"

    @display(description=_("Trouble"))
    def trouble(self, row: Directory) -> str:
        return " ".join(stored_sentences(row.sync_error)) or "–"

    @display(description=_("Settings"))
    def settings_page(self, row: Directory) -> Any:
        address = reverse("portal:directory-edit", args=[row.pk])
        return format_html('<a class="text-primary-600 dark:text-primary-500" href="{}">{}</a>', address, _("Change"))


class UserForm(forms.ModelForm):
    password = forms.CharField(
        label=_("New password"),
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
    )

    class Meta:
        model = User
        fields = ("username", "display_name", "email")


@admin.register(User, site=site)
@with_deeds(
    Deed(
        "disable",
        _("Disable"),
        disable_user,
        "user",
        _("No sign-in any more; sessions and consoles end."),
        "block",
        destroys=True,
    ),
    Deed("enable", _("Enable"), enable_user, "user", _("The user may sign in again."), "check"),
    Deed(
        "reset_second_factor",
        _("Reset the second factor"),
        reset_second_factor,
        "user",
        _("Sign-ins end; where one is demanded, the next sets it up anew."),
        "phonelink_erase",
        destroys=True,
    ),
)
class UserAdmin(Rows):
    addable = editable = True
    form = UserForm
    list_display = ("headline", "status", "email", "directory", "created_at", "last_login")
    list_filter = ("is_active", ("directory", RelatedDropdownFilter), ("directory_groups", RelatedDropdownFilter))
    search_fields = ("username", "display_name", "email")
    list_select_related = ("directory",)
    fieldsets = (
        (
            None,
            {"fields": (("username", "status"), ("display_name", "email"), "password", ("directory", "last_login"))},
        ),
    )
    add_fieldsets = ((None, {"fields": ("username", "display_name", "email", "password")}),)
    readonly_fields = ("status", "directory", "last_login")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return (*self.readonly_fields, "username") if obj else self.readonly_fields

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> User:
        return create_user(actor=self.actor(request), **values)

    def change_by(self, request: HttpRequest, obj: User, values: dict[str, Any]) -> None:
        password = values.pop("password", "")
        if values:
            edit_user(actor=self.actor(request), user=User.objects.get(pk=obj.pk), **values)
        if password:
            set_password(actor=self.actor(request), user=User.objects.get(pk=obj.pk), password=password)

    @display(description=_("Name"), ordering="username", header=True)
    def headline(self, user: User) -> list[str]:
        return [user.username, user.display_name, user.initials]

    @display(description=_("Status"), ordering="is_active", label={_("active"): GREEN, _("disabled"): GREY})
    def status(self, user: User) -> Any:
        return _("active") if user.is_active else _("disabled")


class GroupForm(forms.ModelForm):
    """`people`: the members by hand. Django offers no field of its own where a row says who put them there."""

    people = forms.ModelMultipleChoiceField(
        label=_("Members by hand"),
        queryset=User.objects.all(),
        required=False,
        widget=AutocompleteSelectMultiple(Group._meta.get_field("members"), site),
    )

    class Meta:
        model = Group
        fields = ("name",)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.instance.pk and not self.instance._state.adding:
            self.initial["people"] = User.objects.filter(memberships__group=self.instance, memberships__by_hand=True)


@admin.register(Group, site=site)
class GroupAdmin(Rows):
    addable = editable = removable = True
    form = GroupForm
    list_display = ("name", "directory")
    list_filter = (("directory", RelatedDropdownFilter),)
    search_fields = ("name",)
    fields = ("name", "people")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name",) if obj else ()

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> Group:
        group = create_group(actor=self.actor(request), name=values["name"])
        return set_members(actor=self.actor(request), group=group, members=values["people"])

    def change_by(self, request: HttpRequest, obj: Group, values: dict[str, Any]) -> None:
        if "people" in values:
            set_members(actor=self.actor(request), group=obj, members=values["people"])

    def remove_by(self, request: HttpRequest, obj: Group) -> None:
        delete_group(actor=self.actor(request), group=obj)


class RoleForm(forms.ModelForm):
    verbs = forms.CharField(
        label=_("Rights"),
        widget=UnfoldAdminTextInputWidget(),
        help_text=_("Separated by commas: vm.view, vm.power, or vm.* and *.view."),
    )

    class Meta:
        model = Role
        fields = ("name", "title", "verbs")

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.verbs:
            self.initial["verbs"] = ", ".join(self.instance.verbs)

    def clean_verbs(self) -> list[str]:
        return [verb.strip() for verb in self.cleaned_data["verbs"].split(",") if verb.strip()]


@admin.register(Role, site=site)
class RoleAdmin(Rows):
    addable = editable = removable = True
    form = RoleForm
    list_display = ("name", "called", "builtin", "rights")
    search_fields = ("name", "title")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Those that come with Berth are called in the reader's language; nobody changes them."""
        return ("name", "called", "verbs") if obj and obj.builtin else ("name", "title", "verbs")

    @display(description=_("Title"), ordering="title")
    def called(self, role: Role) -> str:
        return _title(role)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("name", "called") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and not (obj and obj.builtin)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.builtin)

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> Role:
        return create_role(actor=self.actor(request), **values)

    def change_by(self, request: HttpRequest, obj: Role, values: dict[str, Any]) -> None:
        edit_role(actor=self.actor(request), role=Role.objects.get(pk=obj.pk), **values)

    def remove_by(self, request: HttpRequest, obj: Role) -> None:
        delete_role(actor=self.actor(request), role=obj)

    @display(description=_("Rights"))
    def rights(self, role: Role) -> str:
        return ", ".join(role.verbs)


def _title(role: Role) -> str:
    """In the reader's language where it is one of ours; as it was written where somebody made it."""
    return gettext(role.title) if role.builtin else role.title


class RoleFilter(RelatedDropdownFilter):
    """By role, each called as in the list."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> list[tuple[Any, str]]:
        return [(role.pk, _title(role)) for role in Role.objects.all()]


class GrantForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if "role" in self.fields:
            self.fields["role"].label_from_instance = _title  # type: ignore[attr-defined]

    object_kind = forms.ChoiceField(
        label=_("On"),
        choices=[("system", _("the whole system")), *((kind, kind) for kind in GRANTABLE)],
        widget=UnfoldAdminSelectWidget(),
    )
    object_id = forms.UUIDField(
        label=_("Id of the object"), required=False, widget=UnfoldAdminUUIDInputWidget(),
        help_text=_("From the address of its page; empty for the whole system."),
    )  # fmt: skip

    class Meta:
        model = Grant
        fields = ("role", "user", "group", "object_kind", "object_id")

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        try:
            granted_object(values.get("object_kind", "system"), values.get("object_id"))
        except Invalid as error:
            self.add_error("object_id", str(error))
        return values


@admin.register(Grant, site=site)
class GrantAdmin(Rows):
    addable = removable = True
    form = GrantForm
    list_display = ("who", "as_what", "object_kind", "what", "created_at")
    list_filter = (("role", RoleFilter), "object_kind")
    search_fields = ("user__username", "group__name", "object_id__iexact")
    list_select_related = ("user", "group", "role")
    autocomplete_fields = ("user", "group")
    fields = ("role", "user", "group", "object_kind", "object_id")

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> Grant:
        obj = granted_object(values.pop("object_kind"), values.pop("object_id"))
        return grant(actor=self.actor(request), obj=obj, **values)

    def remove_by(self, request: HttpRequest, obj: Grant) -> None:
        revoke(actor=self.actor(request), grant=obj)

    @display(description=_("Role"), ordering="role")
    def as_what(self, row: Grant) -> str:
        return _title(row.role)

    @display(description=_("Who"))
    def who(self, row: Grant) -> Any:
        return link(row.user or row.group)

    @display(description=_("Object"))
    def what(self, row: Grant) -> Any:
        if row.object_id is None:
            return "–"
        return link(KINDS.get(row.object_kind).model._default_manager.filter(pk=row.object_id).first())


@admin.register(ApiToken, site=site)
@with_deeds(
    Deed("revoke", _("Revoke"), revoke_token, "token", _("The token stops working at once."), "block", destroys=True)
)
class TokenAdmin(Rows):
    list_display = ("name", "user", "hint", "narrowed", "created", "expiry", "last_used_at")
    list_filter = (("user", RelatedDropdownFilter),)
    search_fields = ("name", "user__username")
    list_select_related = ("user",)
    fields = readonly_fields = ("name", "user", "hint", "may", "created", "expiry", "last_used_at")

    @display(description=_("Begins with"))
    def hint(self, token: ApiToken) -> str:
        return str(token.token_key)

    @display(description=_("Narrowed"), boolean=True)
    def narrowed(self, token: ApiToken) -> bool:
        return token.scope is not None or bool(token.networks)

    @display(description=_("It may do"))
    def may(self, token: ApiToken) -> str:
        return sentences(Actor.system("back office"), [token])[token.pk]
