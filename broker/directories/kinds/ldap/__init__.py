"""OpenLDAP, Active Directory and FreeIPA: users and groups of directories that speak LDAP.

Settings are the row's `config` (see config.py) and, sealed, its `secret`. The directory is the truth about who may
sign in and who is in which group; Berth's rows follow it at each sign-in (kind.py) and in between (sync.py).
"""

from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .kind import Ldap


class _Ldap:
    """Loads the LDAP libraries when something is first asked of it: most processes, the gateway too, never do."""

    name = "ldap"

    @cached_property
    def _kind(self) -> "Ldap":
        from .kind import Ldap

        return Ldap()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._kind, name)


KIND = _Ldap()
