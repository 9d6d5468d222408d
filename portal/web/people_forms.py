"""The forms of people and groups; passwords are typed, never shown again."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.directories.models import User
from broker.directories.rules import LONGEST_PASSWORD

from .forms import StyledForm


def password_field(label: Any, *, required: bool, help_text: Any = "") -> forms.CharField:
    """Neither trimmed nor ever filled in by the server."""
    return forms.CharField(
        label=label,
        required=required,
        strip=False,
        max_length=LONGEST_PASSWORD,
        help_text=help_text,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class UserForm(StyledForm):
    """How a local user is shown. With `user` it edits, else it also asks for the name and a first password."""

    username = forms.CharField(
        label=_("User name"), max_length=150, help_text=_("Letters, digits and . @ + - _; it cannot be changed later."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
    )  # fmt: skip
    display_name = forms.CharField(label=_("Name"), max_length=255, required=False, help_text=_("What people read."))
    email = forms.CharField(label=_("E-mail"), max_length=254, required=False)
    password = password_field(
        _("Password"), required=False, help_text=_("Ten characters or more. Without one they cannot sign in yet.")
    )

    def __init__(self, *args: Any, user: User | None = None, **kwargs: Any):
        if user:
            kwargs["initial"] = {"display_name": user.display_name, "email": user.email}
        super().__init__(*args, **kwargs)
        if user:
            del self.fields["username"], self.fields["password"]


class PasswordForm(StyledForm):
    password = password_field(
        _("New password"), required=True, help_text=_("Ten characters or more; several words are fine.")
    )


class GroupForm(StyledForm):
    name = forms.CharField(label=_("Name"), max_length=255)
