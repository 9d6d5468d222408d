"""Hypervisor drivers: each folder beside this file is one, found by its name.

A driver is a package with `name` and `connect(uri, *, timeout)` (see broker/virt/driver/). Importing the
package must be cheap and need nothing but the standard library: what talks to the hypervisor is imported by
`connect`, so that a process without it can still name the drivers there are.
"""

import importlib
import pkgutil
from functools import cache
from typing import cast

from broker.core.errors import Invalid
from broker.core.text import gettext_noop
from broker.virt.driver import Driver


def known() -> list[str]:
    """The drivers there are, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


@cache
def load(name: str) -> Driver:
    """The driver called `name`. Raises Invalid when there is none."""
    if name not in known():
        raise Invalid(
            gettext_noop("There is no hypervisor driver called “%(name)s”."),
            field="driver",
            fix=gettext_noop("Use one of: %(known)s."),
            name=name,
            known=", ".join(known()),
        )
    return cast(Driver, importlib.import_module(f"{__name__}.{name}"))
