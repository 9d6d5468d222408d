"""OpenID Connect: people sign in at a provider (Keycloak, Entra ID, Authentik), which tells who they are.

Settings are the row's `config` (config.py); the client's secret is the row's `secret`, sealed. No password of theirs
ever comes here, so nobody signs in by name and password. Who they are and in which groups is known from each sign-in
alone: between two of them nothing follows the provider, which is why sign-ins of such a directory have a longest age.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kind import Oidc


class _Oidc:
    """Loads what checks signatures when something is first asked of it."""

    name = "oidc"

    @cached_property
    def _kind(self) -> "Oidc":
        from .kind import Oidc

        return Oidc()

    def authenticate(self, *args: Any, **kwargs: Any) -> None:
        """Nobody: passwords are for the provider alone, and it is not asked about one."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._kind, name)


KIND = _Oidc()
