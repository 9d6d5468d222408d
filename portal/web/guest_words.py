"""What a guest is told at its first start, as fields of a form; and forms whose fields stand in groups."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from .forms import StyledForm

WORDS = ("hostname", "user", "password", "ssh_keys", "packages", "script", "address", "gateway", "nameservers")


@dataclass(frozen=True)
class Group:
    title: Any
    hint: Any
    fields: list[Any]
    open: bool


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

    def groups(self) -> Iterator[Group]:
        """The fields as the page shows them."""
        for title, hint, names in self.GROUPS:
            used = any(self.data.get(name) or name in self.errors for name in names) if self.is_bound else False
            yield Group(title, hint, [self[name] for name in names], open=names not in self.CLOSED or used)

    @staticmethod
    def words(values: dict[str, Any]) -> dict[str, Any] | None:
        """Taken out of a form's values: those that were said; None: none."""
        return {name: value for name in WORDS if (value := values.pop(name))} or None
