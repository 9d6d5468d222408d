"""A line to one of a directory's servers: encrypted, bound, and never waited for longer than was agreed.

libldap limits each operation by itself; a sign-in is five of them. So the line has one deadline for all, and what is
left of it is the limit of the next operation. Servers are tried in order, those that failed lately last.
"""

import ssl
import threading
from typing import Any

import ldap
from ldap.ldapobject import SimpleLDAPObject

from broker.core import clock
from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_

from . import tunnel
from .config import LdapConfig

SIGN_IN_SECONDS = 2.5
"""For the whole conversation of a sign-in, so that the page answers within three."""
AVOIDED_SECONDS = 30.0
"""How long a server that failed is asked only after the others."""
DOWN_SECONDS = 2.0
"""How long nobody waits again for a directory of which no server answered."""
NOWHERE = "ldapi://%2Fnowhere"
"""What libldap is told the server is: should the line break, it must not dial by itself, around the encryption."""

# What python-ldap raises when it is the server, the network or the configuration, and not what was asked.
SILENT = (
    ldap.SERVER_DOWN, ldap.TIMEOUT, ldap.CONNECT_ERROR, ldap.UNAVAILABLE, ldap.BUSY, ldap.DECODING_ERROR,
    ldap.LOCAL_ERROR, ldap.PROTOCOL_ERROR, ldap.CONFIDENTIALITY_REQUIRED, ldap.STRONG_AUTH_REQUIRED, ldap.REFERRAL,
)  # fmt: skip

_failed: dict[str, float] = {}
_down: dict[LdapConfig, tuple[float, Unavailable]] = {}
_lock = threading.Lock()


class Line(SimpleLDAPObject):
    """python-ldap's connection with a deadline; what `SILENT` names comes out as Unavailable."""

    def __init__(self, server: str, config: LdapConfig, *, seconds: float):
        self.server, self.ends, self.broken = server, clock.steady() + seconds, False
        handle = tunnel.connect(server, ca=config.ca, start_tls=config.start_tls, seconds=seconds)
        super().__init__(NOWHERE, fileno=handle)

    def give(self, seconds: float) -> None:
        """Let what follows take so long altogether."""
        self.ends = clock.steady() + seconds

    def close(self) -> None:
        """Say good-bye; a server that is gone already does not matter."""
        try:
            self._l.unbind_ext()
        except ldap.LDAPError:
            pass  # nothing is left to close

    def _ldap_call(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        left = self.ends - clock.steady()
        if left <= 0:
            self.broken = True
            raise unavailable(self.server, ldap.TIMEOUT())
        self._l.set_option(ldap.OPT_NETWORK_TIMEOUT, left)
        self._l.set_option(ldap.OPT_TIMEOUT, left)
        try:
            return super()._ldap_call(func, *args, **kwargs)
        except SILENT as error:
            self.broken = True
            raise unavailable(self.server, error) from None


def dial(config: LdapConfig, password: str, *, seconds: float, patient: bool = False) -> Line:
    """A line bound as the configured reader, within `seconds`. Raises Unavailable with the cause.

    `patient` asks again although the directory was found to be down a moment ago: for the preview and the sync.
    """
    now = clock.steady()
    if not patient and (known := _down.get(config)) and known[0] > now:
        raise known[1]
    ends, problem = now + seconds, None
    order = sorted(config.servers, key=lambda server: now - _failed.get(server, -AVOIDED_SECONDS) < AVOIDED_SECONDS)
    for place, server in enumerate(order):
        share = (ends - clock.steady()) / (len(order) - place)
        if share <= 0:
            break
        try:
            line = _open(config, server, password, share)
        except Unavailable as error:
            problem = error
            with _lock:
                _failed[server] = clock.steady()
            continue
        with _lock:
            _failed.pop(server, None)
            _down.pop(config, None)
        line.ends = ends
        return line
    problem = problem or unavailable(order[0], ldap.TIMEOUT())
    with _lock:
        _down.clear()  # what is remembered of changed configurations goes with it
        _down[config] = (clock.steady() + DOWN_SECONDS, problem)
    raise problem


def forget() -> None:
    """Forget which servers failed (after a change of the configuration, and between tests)."""
    with _lock:
        _failed.clear()
        _down.clear()


def _open(config: LdapConfig, server: str, password: str, seconds: float) -> Line:
    try:
        line = Line(server, config, seconds=seconds)
        for option, value in (
            (ldap.OPT_PROTOCOL_VERSION, ldap.VERSION3),
            (ldap.OPT_REFERRALS, 0),  # else libldap carries our password to whatever server is named
            (ldap.OPT_DEREF, ldap.DEREF_NEVER),
        ):
            line.set_option(option, value)
        bind(line, config, password)
    except ssl.SSLCertVerificationError as error:
        raise _unproven(server, error.verify_message) from None
    except TimeoutError:
        raise unavailable(server, ldap.TIMEOUT()) from None
    except OSError as error:
        raise unavailable(server, ldap.SERVER_DOWN({"desc": str(error.strerror or error)})) from None
    return line


def bind(line: Line, config: LdapConfig, password: str) -> None:
    """Be the configured reader (again). Raises Unavailable when the server does not take its password."""
    if config.bind_dn and not password:
        raise unavailable(line.server, ldap.INVALID_CREDENTIALS())  # without a password a server makes us anonymous
    try:
        line.simple_bind_s(config.bind_dn, password if config.bind_dn else "")
    except ldap.LDAPError as error:
        raise unavailable(line.server, error) from None


def unavailable(server: str, error: ldap.LDAPError) -> Unavailable:
    """What to say when the directory cannot be asked: which server, what it was, what would help."""
    told = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    info = str(told.get("info") or told.get("desc") or type(error).__name__)
    if isinstance(error, ldap.INVALID_CREDENTIALS | ldap.INAPPROPRIATE_AUTH):
        message = N_("The directory %(server)s does not take the name and password that Berth searches with.")
        fix = N_("An administrator has to type that password again.")
    elif isinstance(error, ldap.TIMEOUT):
        message = N_("The directory %(server)s does not answer.")
        fix = N_("Try again in a moment; if it stays so, tell an administrator.")
    else:
        message = N_("The directory %(server)s cannot be asked at the moment.")
        fix = N_("Try again in a moment; if it stays so, tell an administrator.")
    return Unavailable(message, fix=fix, rule="directory.answers", server=server, cause=info[:200])


def _unproven(server: str, cause: str) -> Unavailable:
    return Unavailable(
        N_("The directory %(server)s cannot prove who it is: its certificate is not the expected one."),
        fix=N_("Check the servers' names and the CA in the directory's settings."),
        rule="directory.answers",
        server=server,
        cause=cause[:200],
    )
