"""Local users: their password hash is in our own database. The break-glass way in when LDAP is down."""

from collections.abc import Mapping
from typing import Any

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory, User


class Local:
    name = "local"

    def authenticate(self, directory: Directory, username: str, password: str, *, seconds: float) -> User | None:
        user = User.objects.filter(directory=directory, username__iexact=username).first()
        if user is None:
            return None  # the backend does the work of a check, if nobody else knows the user either
        return user if user.check_password(password) and user.is_active else None

    def cleaned(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if config:
            raise Invalid(N_("A local directory has no settings."), field="config", fix=N_("Leave them out."))
        return {}

    def sealed(self, password: str) -> str:
        if password:
            raise Invalid(N_("A local directory has no password."), field="password", fix=N_("Leave it out."))
        return ""

    def trusts(self, config: Mapping[str, Any]) -> None:
        return None

    def follow(self, directory: Directory) -> None:
        """Nothing to follow: our own database is the truth about these."""


KIND = Local()
