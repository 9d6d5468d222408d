"""The part of a directory's form that is about Kerberos tickets."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from broker.directories.kerberos.keytab import LARGEST
from broker.directories.models import Directory

KERBEROS = (
    "kerberos", "kerberos_realms", "keytab", "forget_keytab", "kerberos_service", "kerberos_name", "kerberos_silent",
)  # fmt: skip
"""In the order in which they are shown."""


class KerberosFields(forms.Form):
    """Goes before the form of an asked directory: the keytab is kept as its password is."""

    directory: Directory | None

    kerberos = forms.BooleanField(
        label=_("People with a Kerberos ticket are let in"), required=False,
        help_text=_("Without typing, where their browser may show the ticket to Berth's address."),
    )  # fmt: skip
    kerberos_realms = forms.CharField(
        label=_("Realms"), max_length=2000, required=False,
        help_text=_("Only their tickets are accepted. Separated by spaces: EXAMPLE.ORG."),
    )  # fmt: skip
    keytab = forms.FileField(
        label=_("Keytab"), required=False,
        help_text=_("With a key of HTTP/ and the name in Berth's address. Other keys in it are not kept."),
    )  # fmt: skip
    forget_keytab = forms.BooleanField(label=_("Forget the stored keytab"), required=False)
    kerberos_service = forms.CharField(
        label=_("Service principal"), max_length=600, required=False,
        help_text=_("HTTP/berth.example.org. Empty: every key of HTTP/ in the keytab."),
    )  # fmt: skip
    kerberos_name = forms.CharField(
        label=_("Attribute with the principal"), max_length=64, required=False,
        help_text=_("userPrincipalName or krbPrincipalName; or login: what is before the @, as if it were typed."),
    )  # fmt: skip
    kerberos_silent = forms.BooleanField(
        label=_("The sign-in page tries it by itself"), required=False,
        help_text=_("Only where all browsers are set up for it: others may ask for a password of their own."),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.directory and self.directory.keytab:
            self.fields["keytab"].help_text = _("One is stored. Leave this empty to keep it.")
        else:
            del self.fields["forget_keytab"]

    def typed_keytab(self) -> bytes | None:
        """What was uploaded; None to keep the stored one, b"" to forget it."""
        upload = self.cleaned_data.get("keytab")
        if upload:
            return bytes(upload.read(LARGEST + 1))
        return b"" if self.cleaned_data.get("forget_keytab") else None

    def secrets(self) -> dict[str, Any]:
        return {**super().secrets(), "keytab": self.typed_keytab()}  # type: ignore[misc]
