"""What a guest is told at its first start, as fields of a form; and forms whose fields stand in groups."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.virt.guest_users import LONGEST_FULL_NAME, MOST_USERS

from .forms import StyledForm

WORDS = ("hostname", "user", "password", "ssh_keys", "packages", "script", "address", "gateway", "nameservers")


@dataclass(frozen=True)
class Group:
    title: Any
    hint: Any
    fields: list[Any]
    open: bool
    users: Any = None  # the rows of further users, where they stand in it


class UserForm(StyledForm):
    """One more user of the guest; a row of which nothing is filled in is none."""

    name = forms.CharField(label=_("User"), max_length=32)
    full_name = forms.CharField(label=_("Full name"), max_length=LONGEST_FULL_NAME, required=False)
    groups = forms.CharField(
        label=_("Groups"), max_length=2_000, required=False, help_text=_("With commas between; made where missing.")
    )
    password = forms.CharField(
        label=_("Password"), max_length=256, required=False, strip=False, help_text=_("Empty: none."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip
    ssh_keys = forms.CharField(
        label=_("SSH keys"), required=False, max_length=60_000, help_text=_("One a line."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    sudo = forms.BooleanField(label=_("May use sudo"), required=False)


UserRows = forms.formset_factory(UserForm, extra=1, max_num=MOST_USERS, absolute_max=MOST_USERS, validate_max=True)


class GuestWords(StyledForm):
    """`GROUPS`: title, hint and names; the groups `CLOSED` open when something of them is filled in or wrong."""

    GROUPS: tuple[tuple[Any, Any, tuple[str, ...]], ...] = ()
    CLOSED: tuple[tuple[str, ...], ...] = (WORDS,)

    hostname = forms.CharField(
        label=_("Host name"), max_length=253, required=False, help_text=_("Empty: the machine's name.")
    )
    user = forms.CharField(label=_("User"), max_length=32, required=False, help_text=_("May use sudo."))
    password = forms.CharField(
        label=_("Password"), max_length=256, required=False, strip=False, help_text=_("Kept as its hash."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )  # fmt: skip
    ssh_keys = forms.CharField(
        label=_("SSH keys"), required=False, max_length=60_000, help_text=_("One a line."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    packages = forms.CharField(
        label=_("Packages"), required=False, max_length=9_000, help_text=_("One a line."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip
    script = forms.CharField(
        label=_("Script"), required=False, max_length=48_000, strip=False,
        help_text=_("Run once as root; begins with #!."), widget=forms.Textarea(attrs={"rows": 3}),
    )  # fmt: skip
    address = forms.CharField(
        label=_("Address"), required=False, max_length=64, help_text=_("Like 10.0.0.5/24; empty: by DHCP.")
    )
    gateway = forms.CharField(label=_("Gateway"), required=False, max_length=64)
    nameservers = forms.CharField(
        label=_("Name servers"), required=False, max_length=600, help_text=_("One a line."),
        widget=forms.Textarea(attrs={"rows": 2}),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        # Who sends the fields alone, without rows, has no further users.
        sent = self.data if self.is_bound and "users-TOTAL_FORMS" in self.data else None
        self.users = UserRows(sent, prefix="users")

    def clean(self) -> dict[str, Any]:
        """With the further users as `users`, by the names of broker.virt.guest_users."""
        values = super().clean() or self.cleaned_data
        rows = self.users
        if rows.is_bound and not rows.is_valid():
            self.add_error(None, _("Correct what is said of further users."))
        else:
            values["users"] = [row.cleaned_data for row in rows if rows.is_bound and row.has_changed()]
        return values

    def groups(self) -> Iterator[Group]:
        """The fields as the page shows them."""
        for title, hint, names in self.GROUPS:
            used = any(self.data.get(name) or name in self.errors for name in names) if self.is_bound else False
            users = self.users if names is WORDS else None
            if users and users.is_bound:
                used = used or any(row.has_changed() or row.errors for row in users)
            fields = [self[name] for name in names]
            yield Group(title, hint, fields, open=names not in self.CLOSED or used, users=users)

    @staticmethod
    def words(values: dict[str, Any]) -> dict[str, Any] | None:
        """Taken out of a form's values: those that were said; None: none."""
        return {name: value for name in (*WORDS, "users") if (value := values.pop(name))} or None
