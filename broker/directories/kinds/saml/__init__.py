"""SAML 2.0: people sign in at an identity provider (AD FS, Shibboleth, Keycloak), which tells who they are.

Settings are the row's `config` (config.py); the row's `secret` holds the key that Berth signs requests and opens
encrypted assertions with (own_key.py). No password of theirs ever comes here, so nobody signs in by name and password.
As with OpenID Connect nothing follows the provider between two sign-ins, which is why they have a longest age.
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kind import Saml


class _Saml:
    """Loads what checks signatures when something is first asked of it."""

    name = "saml"

    @cached_property
    def _kind(self) -> "Saml":
        from .kind import Saml

        return Saml()

    def authenticate(self, *args: Any, **kwargs: Any) -> None:
        """Nobody: passwords are for the provider alone, and it is not asked about one."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._kind, name)


KIND = _Saml()
