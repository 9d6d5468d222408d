"""Who signs in with a Kerberos ticket: its principal, looked for in the directory, which has the last word."""

from broker.core.errors import Denied
from broker.core.text import gettext_noop as N_
from broker.directories.kerberos.ticket import Principal
from broker.directories.models import Directory, User
from broker.directories.secret import opened

from .config import BY_LOGIN, LdapConfig, of_row
from .finding import Ambiguous, RowBackend, Searcher
from .taking_in import taken_in


def search(
    config: LdapConfig, password: str, principal: Principal, *, seconds: float, patient: bool = False
) -> Searcher:
    """Looks for the principal's person; close it. Raises Denied when no person can have such a principal."""
    if principal.realm not in config.kerberos_realms:
        raise Denied(
            N_("Tickets of the realm %(realm)s are not accepted here."),
            rule="kerberos.realm",
            fix=N_("Sign in with your password, or get a ticket of: %(realms)s."),
            realm=principal.realm[:80],
            realms=", ".join(config.kerberos_realms),
        )
    by_login = config.kerberos_name == BY_LOGIN
    if by_login and "/" in principal.name:
        raise _nobody(principal)  # erin/admin is another principal than erin, and HTTP/host no person
    by = "" if by_login else config.kerberos_name
    backend = RowBackend(config, password, seconds=seconds, patient=patient, by=by)
    return backend.find(principal.name if by_login else str(principal))


def by_ticket(directory: Directory, principal: Principal, *, seconds: float) -> User:
    """The user a ticket of `principal` lets in, made or brought up to date as after a good password.

    The ticket itself was accepted before, so its owner may know why not: raises Denied, Conflict for a name that is
    somebody else's, or Unavailable, within `seconds`, when the directory does not answer.
    """
    config = of_row(directory)
    searcher = search(config, opened(directory), principal, seconds=seconds)
    try:
        if searcher.dn is None or searcher.person is None:
            raise _nobody(principal)
        if not searcher.person.may_sign_in:
            raise _out(principal)
        if searcher.person.must_change:
            raise Denied(
                N_("The password of %(principal)s is over."),
                rule="kerberos.person",
                fix=N_("Change it in the directory, then sign in again."),
                principal=principal,
            )
        user = taken_in(directory, searcher)
    except Ambiguous:
        raise Denied(
            N_("The directory has more than one person for %(principal)s, so nobody is signed in."),
            rule="kerberos.person",
            fix=N_("Sign in with your password, and tell an administrator."),
            principal=principal,
        ) from None
    finally:
        searcher.close()
    if not user.is_active:
        raise _out(principal)
    return user


def _nobody(principal: Principal) -> Denied:
    return Denied(
        N_("The directory has nobody for %(principal)s."),
        rule="kerberos.person",
        fix=N_("Sign in with your password, and tell an administrator."),
        principal=principal,
    )


def _out(principal: Principal) -> Denied:
    return Denied(
        N_("The account of %(principal)s is disabled or locked."),
        rule="kerberos.person",
        fix=N_("Ask an administrator."),
        principal=principal,
    )
