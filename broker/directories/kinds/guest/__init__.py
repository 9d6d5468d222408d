"""People without an account who followed a shared link: nobody signs in here, a link makes them for a while."""

from collections.abc import Mapping
from typing import Any

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory, User


class Guest:
    name = "guest"

    def authenticate(self, directory: Directory, username: str, password: str, *, seconds: float) -> User | None:
        return None

    def cleaned(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if config:
            raise Invalid(N_("The directory of guests has no settings."), field="config", fix=N_("Leave them out."))
        return {}

    def sealed(self, password: str) -> str:
        if password:
            raise Invalid(N_("The directory of guests has no password."), field="password", fix=N_("Leave it out."))
        return ""

    def trusts(self, config: Mapping[str, Any]) -> None:
        return None

    def follow(self, directory: Directory) -> None:
        """Nothing to follow: guests come by links and go with them."""


KIND = Guest()
