"""Whose ticket a browser shows: one token of SPNEGO (RFC 4178) is taken, by the system's Kerberos library.

Only Kerberos is negotiated, and in one step: tickets are good or not at once, and nothing is kept of a half sign-in.
Nobody is asked over the network for it. A token counts once: what was shown is remembered as long as it would be good
(the library's replay cache, a file of ours that all processes here share).
"""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings

from broker.core.errors import Denied, Invalid
from broker.core.text import gettext_noop as N_

from .keytab import in_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST_TOKEN = 48 << 10
"""Bytes; Windows makes no larger ones (MaxTokenSize), however many groups somebody is in."""
LONGEST_PRINCIPAL = 255
_NTLM = b"NTLMSSP\0"
_SPNEGO = "1.3.6.1.5.5.2"


class Principal(NamedTuple):
    """`name` as before the last @ (“erin”, “HTTP/host”), and the realm behind it."""

    name: str
    realm: str

    def __str__(self) -> str:
        return f"{self.name}@{self.realm}"


class Shown(NamedTuple):
    """Whose ticket it is, and the token by which the browser sees that we are who we say."""

    principal: Principal
    answer: bytes


def principal_of(text: str) -> Principal | None:
    """A principal as people write it, or None. What has to be escaped in one is no name of a person."""
    name, _, realm = text.rpartition("@")
    if not name or not realm or len(text) > LONGEST_PRINCIPAL or not text.isprintable() or "\\" in text or "@" in name:
        return None
    return Principal(name, realm)


def accept(token: bytes, keytab: bytes) -> Shown:
    """Whose ticket for one of the keys the token holds. Raises Denied in words, or Invalid for what is no token."""
    if len(token) > LONGEST_TOKEN or not token:
        raise Invalid(N_("This is no Kerberos ticket."), fix=_FORM, rule="kerberos.token")
    if token.startswith(_NTLM):
        raise _ntlm()
    with _refusals(), in_memory(keytab) as place:
        return _accepted(token, place)


def _accepted(token: bytes, place: str) -> Shown:
    # Loaded by whoever shows the first ticket: most processes never see one.
    import gssapi
    from gssapi.raw import OID, set_neg_mechs

    kerberos = gssapi.MechType.kerberos
    store = {"keytab": place, "rcache": f"file2:{settings.DATA_DIR / 'kerberos.rcache'}"}
    ours = gssapi.Credentials(usage="accept", mechs=[OID.from_int_seq(_SPNEGO), kerberos], store=store)
    set_neg_mechs(ours, [kerberos])
    context = gssapi.SecurityContext(creds=ours, usage="accept")
    answer = context.step(token)
    if not context.complete:
        raise Denied(
            N_("The browser wants to negotiate in several steps, and did not show its Kerberos ticket in the first."),
            rule="kerberos.steps",
            fix=N_("Have it offer Kerberos first and alone; until then sign in with your password."),
        )
    principal = principal_of(bytes(context.initiator_name).decode("utf-8", "replace"))
    if context.mech != kerberos or principal is None:
        raise Denied(N_("This ticket names nobody who could sign in."), rule="kerberos.principal", fix=_FORM)
    return Shown(principal, answer or b"")


@contextmanager
def _refusals() -> "Iterator[None]":
    """The library's errors in our words.

    SPNEGO hides the library's numbers behind its own, so its English words are what tells them apart.
    """
    import gssapi

    try:
        yield
    except gssapi.exceptions.BadMechanismError:
        raise _ntlm() from None
    except gssapi.exceptions.InvalidTokenError:
        raise Invalid(N_("This is no Kerberos ticket."), fix=_FORM, rule="kerberos.token") from None
    except gssapi.exceptions.GSSError as error:
        said = str(error)
        for words, (rule, message, fix) in _CAUSES.items():
            if words in said:
                raise Denied(message, rule=rule, fix=fix) from None
        raise Denied(
            N_("This Kerberos ticket was not accepted: %(cause)s."), rule="kerberos.ticket", fix=_FORM,
            cause=_cause(error),
        ) from None  # fmt: skip


def _cause(error: Any) -> str:
    """The library's own sentence, of one line."""
    said = error.get_all_statuses(error.min_code, False) or error.get_all_statuses(error.maj_code, True)
    return " ".join(" ".join(said).split())[:200] or "?"


def _ntlm() -> Denied:
    return Denied(
        N_("The browser offered another way (such as NTLM) instead of a Kerberos ticket."),
        rule="kerberos.mechanism",
        fix=N_("Look whether you hold a ticket, and whether you came here by the name that the administrator set up."),
    )


_FORM = N_("Sign in with your password, and tell an administrator.")
_CLOCK = N_("Set the clock of this computer right, and try again.")
_STALE = N_("Lock and unlock this computer (or get a new ticket with kinit), and try again.")
_CAUSES = {
    "Clock skew too great": (
        "kerberos.clock", N_("The clock of this computer and that of Berth differ by more than Kerberos allows."),
        _CLOCK,
    ),
    "Ticket not yet valid": ("kerberos.clock", N_("This Kerberos ticket is not good yet."), _CLOCK),
    "Ticket expired": ("kerberos.expired", N_("This Kerberos ticket is over."), _STALE),
    "Request is a replay": (
        "kerberos.replay", N_("This Kerberos ticket was shown a second time in the same message."),
        N_("Try again; if it stays so, tell an administrator: somebody may have listened."),
    ),
    "not found in keytab": (
        "kerberos.key", N_("This Kerberos ticket is for a service whose key Berth does not have."),
        N_("Use the address the administrator set up. An administrator may have to upload a new keytab."),
    ),
    "cannot decrypt ticket": (
        "kerberos.key", N_("This Kerberos ticket was made for another key than the one Berth has."), _STALE,
    ),
}  # fmt: skip
