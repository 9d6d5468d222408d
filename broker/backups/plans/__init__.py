"""The long verbs of backups: each module here registers one plan."""

import importlib
import pkgutil


def load() -> None:
    """Import every module of this package, so that its plan is registered."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
