"""Kinds of directory: one package each, offering `KIND: DirectoryKind`; found by themselves."""

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from broker.core.registry import Registry

if TYPE_CHECKING:
    from broker.directories.models import Directory, User


class DirectoryKind(Protocol):
    """What a kind offers. Passwords are never stored by a kind other than `local`."""

    name: str

    def authenticate(self, directory: "Directory", username: str, password: str, *, seconds: float) -> "User | None":
        """The user, made or updated from the directory, or None when the credentials do not fit.

        Raises Unavailable, within `seconds`, when the directory does not answer.
        """
        ...

    def cleaned(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The row's `config` as it is to be kept. Raises Invalid with the field that cannot be right."""
        ...

    def sealed(self, password: str) -> str:
        """The row's `secret` for the password Berth itself uses there. Raises Invalid when the kind has none."""
        ...

    def trusts(self, config: Mapping[str, Any]) -> Any:
        """What decides to whom that password is told: when it changes, the password has to be typed again."""
        ...

    def follow(self, directory: "Directory") -> None:
        """Bring users and groups up to date; called every few seconds, so do only what is due.

        Raises Unavailable when the directory does not answer: nothing is changed then.
        """
        ...


ELSEWHERE = ("oidc", "saml")
"""Kinds whose people sign in at a provider: no password is asked here, and a sign-in has a longest age."""
KINDS: Registry[DirectoryKind] = Registry("directory kind")


def discover() -> None:
    """Import every package here and register its KIND."""
    for module in pkgutil.iter_modules(__path__):
        kind = importlib.import_module(f"{__name__}.{module.name}").KIND
        if kind.name not in KINDS:
            KINDS.add(kind.name, kind)
