"""The parts of the pages about directories."""

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.core.errors import BerthError
from broker.directories.kerberos.keytab import keys_in, opened
from broker.directories.kinds import ELSEWHERE
from broker.directories.models import Directory
from broker.directories.token_age import token_days

from .directory_forms import FLAVOUR_NAMES
from .parts import Action, Cell, Notice, Pair, Related, Row, error_sentences, stored_sentences
from .providers import back_address, metadata_address
from .signing_out import signed_out_addresses
from .words import Mark

KIND_NAMES = {
    "local": gettext_lazy("Kept here"), "ldap": gettext_lazy("LDAP"), "guest": gettext_lazy("Guests of shared links"),
    "oidc": gettext_lazy("OpenID Connect"), "saml": gettext_lazy("SAML"),
}  # fmt: skip
MOST = 100


def kind_name(row: Directory) -> str:
    """ "Active Directory", "OpenLDAP", "Kept here"."""
    return FLAVOUR_NAMES.get(row.config.get("flavour", "")) or str(KIND_NAMES.get(row.kind, row.kind))


def directory_mark(row: Directory) -> Mark:
    if not row.enabled:
        return Mark(_("Off"), "idle")
    if row.sync_held:
        return Mark(_("Waits for you"), "warn")
    return Mark(_("Trouble"), "bad") if row.sync_error else Mark(_("In use"), "good")


def notices_of(row: Directory) -> list[Notice]:
    notices = []
    if row.sync_held:
        text = _("%(count)s users or memberships are gone from the directory all at once. Nothing was removed here.")
        fix = _("If that is right, take it over; if not, look at the settings and at the directory.")
        notices.append(Notice(text % {"count": row.sync_held}, fix))
    if row.sync_error:
        cause, fix = stored_sentences(row.sync_error)
        notices.append(Notice(cause, fix, tone="bad"))
    return notices


def details_of(row: Any) -> list[Pair]:
    """`row` with `user_count` and `group_count`."""
    config = row.config
    pairs = [Pair(_("Kind"), kind_name(row)), Pair(_("Place"), str(row.order))]
    if row.kind == "ldap":
        secured = all(server.startswith("ldaps:") for server in config.get("servers", ())) or config.get("start_tls")
        pairs += [
            Pair(_("Servers"), ", ".join(config.get("servers", ()))),
            Pair(_("Encrypted"), _("yes") if secured else _("no")),
            Pair(_("Own certificate authority"), _("yes") if config.get("ca") else _("no")),
            Pair(_("Berth signs in as"), config.get("bind_dn") or _("nobody")),
            Pair(_("Users are below"), config.get("user_base", "")),
            Pair(_("Groups are below"), config.get("group_base", "")),
            Pair(_("Groups in groups"), _("count") if config.get("nested") else _("do not count")),
            *_kerberos(row),
            Pair(_("Last read"), moment=row.synced_at) if row.synced_at else Pair(_("Last read"), _("never")),
        ]
    if row.kind == "oidc":
        pairs += [
            Pair(_("Issuer"), config.get("issuer", "")),
            Pair(_("Client id"), config.get("client_id", "")),
            Pair(_("Redirect address to register there"), back_address(row)),
            Pair(_("Groups"), config.get("groups_claim", "")),
            Pair(_("A sign-in is good for"), _("%(hours)s hours") % {"hours": config.get("session_hours", "")}),
            Pair(
                _("Signing out here signs out there, too"),
                _("yes, and back to %(addresses)s") % {"addresses": " ".join(signed_out_addresses())}
                if config.get("sign_out_there")
                else _("no"),
            ),
            Pair(_("The provider's second factor counts"), _("yes") if config.get("trust_amr") else _("no")),
        ]
    if row.kind == "saml":
        pairs += [
            Pair(_("Provider's metadata"), config.get("metadata_url") or _("as text")),
            Pair(_("Metadata of Berth, to register there"), metadata_address(row), url=metadata_address(row)),
            Pair(_("Entity id of Berth"), config.get("entity_id") or _("the address of its metadata")),
            Pair(_("Address answers are posted to"), back_address(row)),
            Pair(_("Id that never changes"), config.get("id_attribute") or _("persistent NameID")),
            Pair(_("Groups"), config.get("groups_attribute", "")),
            Pair(_("Encrypted assertions"), _("demanded") if config.get("encrypted") else _("taken")),
            Pair(_("A sign-in is good for"), _("%(hours)s hours") % {"hours": config.get("session_hours", "")}),
        ]
    if row.kind in ELSEWHERE:
        days = token_days(row)
        told = _("%(days)s days") % {"days": days} if days else _("as long as made")
        pairs.append(Pair(_("API tokens count after it for"), told))
    pairs.append(Pair(_("Second factor"), _("demanded") if row.second_factor else _("as everybody likes")))
    users = f"{reverse('portal:users')}?directory={row.pk}"
    groups = f"{reverse('portal:groups')}?directory={row.pk}"
    return [
        *pairs,
        Pair(_("Users"), str(row.user_count), url=users),
        Pair(_("Groups"), str(row.group_count), url=groups),
    ]


def groups_in(groups: Any) -> Related:
    rows = groups.order_by("name")[:MOST]
    return Related(
        _("Groups"),
        [_("Group")],
        [Row([Cell(group.name, reverse("portal:group", args=[group.pk]))]) for group in rows],
        _("No group yet. They appear when the directory was read."),
    )


def _kerberos(row: Directory) -> list[Pair]:
    """Whose tickets are accepted, and by which keys: their names, never they themselves."""
    if not row.config.get("kerberos"):
        return [Pair(_("Kerberos tickets"), _("are not accepted"))]
    try:
        keys = ", ".join(sorted({f"{key.principal} ({key.number})" for key in keys_in(opened(row))}))
    except BerthError as error:
        keys = error_sentences(error)[0]
    return [
        Pair(_("Kerberos tickets"), _("of %(realms)s") % {"realms": ", ".join(row.config.get("kerberos_realms", ()))}),
        Pair(_("Keytab"), keys or "–"),
    ]


def directory_actions(row: Directory) -> list[Action]:
    if row.kind == "guest":
        return []
    actions = [Action(_("Edit"), reverse("portal:directory-edit", args=[row.pk]), "edit", link=True)]
    if row.kind == "ldap" and row.enabled:
        if row.sync_held:
            text = _("Whoever is gone from the directory is kept out here, and loses what its groups gave.")
            actions.append(Action(_("Take it over"), _deed(row, "accept"), "check", confirm=text))
        actions.append(Action(_("Read it now"), _deed(row, "sync"), "refresh"))
    if row.enabled:
        text = _("Nobody of %(name)s can sign in until it is switched on again; who is signed in stays.")
        actions.append(Action(_("Switch off"), _deed(row, "disable"), "power", confirm=text % {"name": row.name}))
    else:
        actions.append(Action(_("Switch on"), _deed(row, "enable"), "power"))
    text = _("Its users and groups are forgotten here, with what was granted to them. The directory itself stays.")
    address = reverse("portal:directory-delete", args=[row.pk])
    return [*actions, Action(_("Remove"), address, "trash", danger=True, confirm=text)]


def earlier(row: Directory) -> Action:
    return Action(_("Ask %(name)s earlier") % {"name": row.name}, _deed(row, "earlier"), "chevron-up")


def _deed(row: Directory, verb: str) -> str:
    return reverse("portal:directory-deed", args=[row.pk, verb])
