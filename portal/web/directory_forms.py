"""The forms of directories, one a kind. What is left empty is what that flavour of directory usually has."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from broker.access.actor import Actor
from broker.core.errors import BerthError, Invalid
from broker.directories.guest_names import LOGIN
from broker.directories.kinds.ldap.config import DEFAULTS, FLAVOURS, GROUP_KINDS
from broker.directories.kinds.oidc.config import OidcConfig
from broker.directories.kinds.saml.config import SamlConfig
from broker.directories.models import Directory
from broker.directories.token_age import USUAL_DAYS

from .forms import StyledForm
from .kerberos_form import KERBEROS, KerberosFields
from .parts import error_sentences
from .people_forms import password_field
from .second_factor_words import whom_it_hits

FLAVOUR_NAMES = {"openldap": "OpenLDAP", "ad": "Active Directory", "freeipa": "FreeIPA"}
ABOUT_THE_ROW = ("name", "order", "enabled", "second_factor", "guest_name")
OIDC, SAML = OidcConfig(), SamlConfig()
NOT_CONFIG = (*ABOUT_THE_ROW, "password", "forget_password", "keytab", "forget_keytab", "try_user")


@dataclass(frozen=True, slots=True)
class Section:
    """Fields that belong together; `folded` ones are rarely needed."""

    title: str | Promise
    names: tuple[str, ...]
    folded: bool = False


class DirectoryForm(StyledForm):
    """What every directory has. `directory`: the row that is edited."""

    name = forms.CharField(label=_("Name"), max_length=64, help_text=_("What people and administrators read."))
    order = forms.IntegerField(
        label=_("Place"), min_value=0, max_value=32767, initial=100, help_text=_("Lower ones are asked first.")
    )
    enabled = forms.BooleanField(
        label=_("Enabled"),
        required=False,
        initial=True,
        help_text=_("Without it nobody of this directory can sign in."),
    )
    second_factor = forms.BooleanField(
        label=_("Demand a second factor"),
        required=False,
        help_text=_("After the password a code of an app is asked. Who has none sets it up before anything else."),
    )
    guest_name = forms.CharField(
        label=_("Names in desktops"), max_length=128, required=False, initial=LOGIN,
        help_text=_(
            "For sign-on in guests: {login} is the user name, {name} what of it stands before an @, {realm} the "
            "domain. Empty: nobody of this directory is signed on there."
        ),
    )  # fmt: skip
    sections: tuple[Section, ...] = (Section(_("Directory"), ABOUT_THE_ROW),)
    previews = False

    def __init__(self, *args: Any, actor: Actor, directory: Directory | None = None, **kwargs: Any):
        if directory:
            row = {name: getattr(directory, name) for name in ABOUT_THE_ROW}
            kwargs["initial"] = {**self.shown(directory.config), **row}
        self.directory = directory
        super().__init__(*args, **kwargs)
        if directory and not directory.second_factor:
            field = self.fields["second_factor"]
            field.help_text = f"{field.help_text} {whom_it_hits(directory, actor)}"

    def shown(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """A kept `config` as the form shows it."""
        return {}

    def config(self) -> dict[str, Any]:
        """The `config` that was typed."""
        return {}

    def values(self) -> dict[str, Any]:
        """What the actions take beside the actor and the kind."""
        return {name: self.cleaned_data[name] for name in ABOUT_THE_ROW}

    def laid_out(self) -> list[dict[str, Any]]:
        """The sections with their fields; one with a mistake in it is open."""
        return [
            {
                "title": section.title,
                "fields": [self[name] for name in section.names],
                "folded": section.folded and not any(self[name].errors for name in section.names),
            }
            for section in self.sections
        ]


class AskedForm(DirectoryForm):
    """Of a directory that Berth asks, with a secret of its own: what is left empty keeps the stored one."""

    previews = True

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if "password" not in self.fields:
            return
        if self.directory and self.directory.secret:
            self.fields["password"].help_text = _("One is stored. Leave this empty to keep it.")
        else:
            del self.fields["forget_password"]

    def laid_out(self) -> list[dict[str, Any]]:
        self.sections = tuple(
            Section(one.title, tuple(name for name in one.names if name in self.fields), one.folded)
            for one in type(self).sections
        )
        return super().laid_out()

    def config(self) -> dict[str, Any]:
        given = {name: self.cleaned_data[name] for name in self.fields if name not in NOT_CONFIG}
        # Browsers send line ends of their own; a certificate that only differs in those is the same.
        given["ca"] = given["ca"].replace("\r\n", "\n")
        return given

    def typed_password(self) -> str | None:
        """What was typed; None to keep the stored one, "" to forget it."""
        typed = self.cleaned_data.get("password")
        if typed or self.cleaned_data.get("forget_password"):
            return typed or ""
        return None

    def secrets(self) -> dict[str, Any]:
        """What is kept sealed, as the actions take it."""
        return {"password": self.typed_password()}

    def values(self) -> dict[str, Any]:
        return {**super().values(), "config": self.config(), **self.secrets()}


class LdapForm(KerberosFields, AskedForm):
    """The settings of a directory that speaks LDAP (broker/directories/kinds/ldap/config.py)."""

    flavour = forms.ChoiceField(label=_("Kind"), choices=[(name, FLAVOUR_NAMES[name]) for name in FLAVOURS])
    servers = forms.CharField(
        label=_("Servers"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=_("One a line, asked in this order: ldaps://dc1.example.org or ldap://dc1.example.org."),
    )  # fmt: skip
    start_tls = forms.BooleanField(
        label=_("StartTLS"), required=False, initial=True, help_text=_("Encrypt ldap:// before anything is said.")
    )
    ca = forms.CharField(
        label=_("Own certificate authority"), max_length=100_000, required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("PEM text. Empty: those this server trusts anyway."),
    )  # fmt: skip
    bind_dn = forms.CharField(
        label=_("Berth signs in as"), max_length=1000, required=False,
        help_text=_("An account that may search: cn=reader,dc=example,dc=org. Empty: anonymously."),
    )  # fmt: skip
    password = password_field(_("Its password"), required=False)
    forget_password = forms.BooleanField(
        label=_("Forget the stored password"), required=False, help_text=_("Only for directories read anonymously.")
    )
    user_base = forms.CharField(label=_("Users are below"), max_length=1000, help_text=_("ou=people,dc=example,dc=org"))
    user_filter = forms.CharField(label=_("Filter of users"), max_length=2000, required=False)
    login_attributes = forms.CharField(
        label=_("May be typed to sign in"), max_length=500, required=False,
        help_text=_("Attributes, separated by spaces."),
    )  # fmt: skip
    username_attribute = forms.CharField(label=_("User name"), max_length=64, required=False)
    id_attribute = forms.CharField(
        label=_("Id that never changes"), max_length=64, required=False, help_text=_("By it a renamed user is known.")
    )
    name_attribute = forms.CharField(label=_("Full name"), max_length=64, required=False)
    mail_attribute = forms.CharField(label=_("E-mail"), max_length=64, required=False)
    enabled_attribute = forms.CharField(label=_("True for who may sign in"), max_length=64, required=False)
    disabled_attribute = forms.CharField(label=_("True for who may not"), max_length=64, required=False)
    group_base = forms.CharField(
        label=_("Groups are below"), max_length=1000, required=False, help_text=_("Empty: where the users are.")
    )
    group_filter = forms.CharField(label=_("Filter of groups"), max_length=2000, required=False)
    group_name_attribute = forms.CharField(label=_("Name of a group"), max_length=64, required=False)
    group_member = forms.ChoiceField(
        label=_("Groups name members in"), required=False,
        choices=[("", _("as usual")), *((name, name) for name in GROUP_KINDS)],
    )  # fmt: skip
    nested = forms.BooleanField(label=_("Groups in groups count"), required=False, initial=True)
    full_sync_minutes = forms.IntegerField(
        label=_("Read everything anew every"), min_value=1, max_value=1440, initial=30, help_text=_("In minutes.")
    )
    try_user = forms.CharField(
        label=_("Try it with a user"), max_length=150, required=False,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}),
        help_text=_("As they would type it, or the principal of a ticket. The preview tells what they would get."),
    )  # fmt: skip

    sections: tuple[Section, ...] = (
        Section(_("Directory"), ("name", "flavour", *ABOUT_THE_ROW[1:])),
        Section(_("Connection"), ("servers", "start_tls", "bind_dn", "password", "forget_password", "ca")),
        Section(_("Where people are"), ("user_base", "group_base", "nested")),
        Section(_("Kerberos"), KERBEROS),
        Section(
            _("Attributes and filters"),
            (
                "user_filter", "login_attributes", "username_attribute", "id_attribute", "name_attribute",
                "mail_attribute", "enabled_attribute", "disabled_attribute", "group_filter", "group_name_attribute",
                "group_member", "full_sync_minutes",
            ),
            folded=True,
        ),
    )  # fmt: skip

    def shown(self, config: Mapping[str, Any]) -> dict[str, Any]:
        usual = DEFAULTS.get(config.get("flavour", ""), {})
        lists = {"servers": "\n", "login_attributes": " ", "kerberos_realms": " "}
        values = {
            name: lists[name].join(value) if name in lists and isinstance(value, list | tuple) else value
            for name, value in config.items()
            if name == "flavour" or (tuple(value) if isinstance(value, list) else value) != usual.get(name)
        }
        if values.get("group_base") == values.get("user_base"):
            values.pop("group_base", None)
        return values

    def config(self) -> dict[str, Any]:
        given = super().config()
        lists = ("servers", "login_attributes", "kerberos_realms")
        return {**given, **{name: given[name].split() for name in lists}}

    def refuse(self, error: BerthError) -> None:
        """At its field also when the field is folded away."""
        if isinstance(error, Invalid) and error.field == "username":
            self.add_error("try_user", " ".join(error_sentences(error)))
            return
        super().refuse(error)


class ElsewhereForm(AskedForm):
    """Of a directory whose people sign in at a provider, which tells nothing of who is gone there."""

    session_hours = forms.IntegerField(
        label=_("A sign-in is good for"), min_value=1, max_value=12, initial=8,
        help_text=_("Hours. Whoever is disabled at the provider is out after that, or at the next sign-in."),
    )  # fmt: skip
    token_days = forms.IntegerField(
        label=_("API tokens count after the last sign-in for"), min_value=0, max_value=365, initial=USUAL_DAYS,
        required=False,
        help_text=_("Days. Tokens of whoever is gone there end by that; 0: they count until they run out."),
    )  # fmt: skip

    def shown(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return dict(config)

    def clean_token_days(self) -> int:
        days = self.cleaned_data["token_days"]
        return USUAL_DAYS if days is None else days


class OidcForm(ElsewhereForm):
    """The settings of a provider of OpenID Connect (broker/directories/kinds/oidc/config.py)."""

    issuer = forms.CharField(
        label=_("Issuer"), max_length=1000,
        help_text=_("As the provider calls itself: https://login.example.org/realms/staff."),
    )  # fmt: skip
    client_id = forms.CharField(
        label=_("Client id"), max_length=1000, help_text=_("By which the provider knows Berth.")
    )
    password = password_field(_("Client secret"), required=False)
    forget_password = forms.BooleanField(
        label=_("Forget the stored secret"), required=False, help_text=_("Only for clients that have none.")
    )
    private = forms.BooleanField(
        label=_("It is in a network of our own"), required=False,
        help_text=_("Else it has to have addresses of the public internet."),
    )  # fmt: skip
    ca = forms.CharField(
        label=_("Own certificate authority"), max_length=100_000, required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("PEM text. Empty: those this server trusts anyway."),
    )  # fmt: skip
    acr_values = forms.CharField(
        label=_("Ways of signing in that are asked for"), max_length=1000, required=False,
        help_text=_("As the provider calls them (acr), the best first, separated by spaces. Empty: as it likes."),
    )  # fmt: skip
    acr_required = forms.BooleanField(label=_("Let nobody in who signed in otherwise"), required=False)
    sign_out_there = forms.BooleanField(
        label=_("Signing out here signs out there, too"), required=False,
        help_text=_("The provider has to know the address it leads back to; the directory's page says it."),
    )  # fmt: skip
    trust_amr = forms.BooleanField(
        label=_("The provider's second factor counts"), required=False,
        help_text=_("Whoever showed one there (amr: mfa, otp, hwk, sc) needs none of Berth's where one is demanded."),
    )  # fmt: skip
    scopes = forms.CharField(label=_("What is asked for"), max_length=1000, initial=OIDC.scopes)
    username_claim = forms.CharField(label=_("User name"), max_length=200, initial=OIDC.username_claim)
    name_claim = forms.CharField(label=_("Full name"), max_length=200, initial=OIDC.name_claim)
    mail_claim = forms.CharField(label=_("E-mail"), max_length=200, initial=OIDC.mail_claim)
    groups_claim = forms.CharField(
        label=_("Groups"), max_length=200, initial=OIDC.groups_claim,
        help_text=_("Parts of a path are separated by dots: realm_access.roles."),
    )  # fmt: skip
    sections = (
        Section(_("Directory"), ABOUT_THE_ROW),
        Section(
            _("Provider"),
            ("issuer", "client_id", "password", "forget_password", "session_hours", "token_days", "private", "ca"),
        ),
        Section(
            _("How one signs in there"), ("acr_values", "acr_required", "trust_amr", "sign_out_there"), folded=True
        ),
        Section(_("Claims"), ("scopes", "username_claim", "name_claim", "mail_claim", "groups_claim"), folded=True),
    )


class SamlForm(ElsewhereForm):
    """The settings of a provider of SAML (broker/directories/kinds/saml/config.py)."""

    metadata_url = forms.CharField(
        label=_("Address of the provider's metadata"), max_length=1000, required=False,
        help_text=_("https://login.example.org/metadata. Its keys are read anew when they change."),
    )  # fmt: skip
    metadata = forms.CharField(
        label=_("or the metadata as text"), max_length=500_000, required=False,
        widget=forms.Textarea(attrs={"rows": 4, "spellcheck": "false"}),
        help_text=_("The whole XML document. Several signing certificates in it count at once."),
    )  # fmt: skip
    private = forms.BooleanField(
        label=_("It is in a network of our own"), required=False,
        help_text=_("Else it has to have addresses of the public internet."),
    )  # fmt: skip
    ca = forms.CharField(
        label=_("Own certificate authority"), max_length=100_000, required=False,
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
        help_text=_("PEM text. Empty: those this server trusts anyway."),
    )  # fmt: skip
    issuer = forms.CharField(
        label=_("Entity id of the provider"), max_length=1000, required=False,
        help_text=_("Only where the metadata has several providers."),
    )  # fmt: skip
    entity_id = forms.CharField(
        label=_("Entity id of Berth"), max_length=1000, required=False,
        help_text=_("Empty: the address of Berth's own metadata, which the directory's page shows."),
    )  # fmt: skip
    encrypted = forms.BooleanField(
        label=_("Demand encrypted assertions"), required=False,
        help_text=_("What is encrypted is understood anyway; with this, nothing else is taken."),
    )  # fmt: skip
    id_attribute = forms.CharField(
        label=_("Id that never changes"), max_length=200, required=False,
        help_text=_("An attribute by which a renamed user is known. Empty: the NameID, which has to be persistent."),
    )  # fmt: skip
    username_attribute = forms.CharField(label=_("User name"), max_length=200, initial=SAML.username_attribute)
    name_attribute = forms.CharField(label=_("Full name"), max_length=200, initial=SAML.name_attribute)
    mail_attribute = forms.CharField(label=_("E-mail"), max_length=200, initial=SAML.mail_attribute)
    groups_attribute = forms.CharField(
        label=_("Groups"), max_length=200, initial=SAML.groups_attribute,
        help_text=_("Attributes are found by their Name or FriendlyName."),
    )  # fmt: skip
    forget_password = forms.BooleanField(
        label=_("Make a new key"), required=False,
        help_text=_("Berth signs with it from then on. The provider has to read Berth's metadata anew."),
    )  # fmt: skip
    sections = (
        Section(_("Directory"), ABOUT_THE_ROW),
        Section(
            _("Provider"),
            ("metadata_url", "metadata", "private", "ca", "issuer", "entity_id", "encrypted", "session_hours",
             "token_days", "forget_password"),
        ),
        Section(
            _("Attributes"),
            ("id_attribute", "username_attribute", "name_attribute", "mail_attribute", "groups_attribute"),
            folded=True,
        ),
    )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if not self.directory:
            del self.fields["forget_password"]

    def config(self) -> dict[str, Any]:
        given = super().config()
        return {**given, "metadata": given["metadata"].replace("\r\n", "\n")}


FORMS: dict[str, type[DirectoryForm]] = {"local": DirectoryForm, "ldap": LdapForm, "oidc": OidcForm, "saml": SamlForm}
