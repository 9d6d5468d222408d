"""Kinds of directory: one package each, offering `KIND: DirectoryKind`; found by themselves."""

import importlib
import pkgutil
from typing import TYPE_CHECKING, Protocol

from broker.core.registry import Registry

if TYPE_CHECKING:
    from broker.directories.models import Directory, User


class DirectoryKind(Protocol):
    """What a kind offers. Passwords are never stored by a kind other than `local`."""

    name: str

    def authenticate(self, directory: "Directory", username: str, password: str) -> "User | None":
        """The user, made or updated from the directory, or None when the credentials do not fit.

        Raises Unavailable when the directory does not answer.
        """
        ...


KINDS: Registry[DirectoryKind] = Registry("directory kind")


def discover() -> None:
    """Import every package here and register its KIND."""
    for module in pkgutil.iter_modules(__path__):
        kind = importlib.import_module(f"{__name__}.{module.name}").KIND
        if kind.name not in KINDS:
            KINDS.add(kind.name, kind)
