"""What Berth asks of a directory that speaks LDAP: see DirectoryKind."""

import logging
from collections.abc import Mapping
from typing import Any

from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.kerberos import keytab as keytabs
from broker.directories.kerberos.ticket import Shown, accept
from broker.directories.models import Directory, User
from broker.directories.secret import opened, sealed

from .by_ticket import by_ticket
from .config import of_row, parse
from .finding import Ambiguous, RowBackend
from .preview import Preview, preview_of
from .sync import follow
from .taking_in import taken_in

log = logging.getLogger(__name__)
LONGEST_PASSWORD = 1024


class Ldap:
    name = "ldap"

    def authenticate(self, directory: Directory, username: str, password: str, *, seconds: float) -> User | None:
        """The user, or None when the directory does not let them in. Raises Unavailable within `seconds`."""
        if not password.strip() or "\0" in username + password:
            return None  # many servers take a bind without a password for an anonymous one, and say yes
        config = of_row(directory)
        searcher = RowBackend(config, opened(directory), seconds=seconds).find(username.strip())
        try:
            if not searcher.fits(password) or searcher.person is None or not searcher.person.may_sign_in:
                return None
            if searcher.person.must_change:
                log.warning("%s: the password of %r is over and has to be changed there", directory, username)
                return None
            user = taken_in(directory, searcher)
        except Ambiguous:
            log.warning("%s has more than one user %r: nobody is signed in by that name", directory, username)
            return None
        except Conflict as error:
            log.warning("%s: %s", directory, error.message)
            return None
        finally:
            searcher.close()
        return user if user.is_active else None

    def accept(self, directory: Directory, token: bytes) -> Shown:
        """Whose ticket the token holds, by the row's keytab. Raises Denied or Invalid, in words; Unavailable."""
        return accept(token, keytabs.opened(directory))

    def by_ticket(self, directory: Directory, shown: Shown, *, seconds: float) -> User:
        """The user whom the accepted ticket lets in. Raises Denied, Conflict; Unavailable within `seconds`."""
        return by_ticket(directory, shown.principal, seconds=seconds)

    def sealed_keytab(self, config: Mapping[str, Any], content: bytes | None, kept: str) -> str:
        """The row's `keytab` under `config`: of what was uploaded, or the present one for None; b"" forgets it."""
        wanted = parse(config)
        return keytabs.kept_for(content, kept, service=wanted.kerberos_service, needed=wanted.kerberos)

    def cleaned(self, config: Mapping[str, Any]) -> dict[str, Any]:
        return parse(config).as_dict()

    def sealed(self, password: str) -> str:
        if "\0" in password or len(password) > LONGEST_PASSWORD:
            raise Invalid(N_("This password cannot be used."), field="password", fix=N_("Type it again."))
        return sealed(password)

    def trusts(self, config: Mapping[str, Any]) -> Any:
        return parse(config).whom

    def follow(self, directory: Directory) -> None:
        follow(directory)

    def preview(self, directory: Directory, *, username: str | None) -> Preview:
        """What the row's settings yield; the row need not be saved."""
        return preview_of(directory, username=username)
