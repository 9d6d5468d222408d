"""Which names and paths may reach a hypervisor; for all drivers.

A name becomes part of file names, of QEMU's comma-separated arguments and of JSON pseudo-protocols
("json:{…}"), so only what is plain in all of them passes.
"""

import re

from broker.core.errors import Invalid
from broker.core.text import gettext_noop

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}\Z")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f,]|(^|/)\.\.(/|$)")


def check(name: str) -> str:
    """Return `name` if a machine, volume, storage or network may be called so, else raise Invalid."""
    if not _NAME.match(name) or ".." in name:
        raise Invalid(
            gettext_noop("“%(name)s” cannot be used as a name on a host."),
            field="name",
            fix=gettext_noop("Use letters, digits, dots, dashes and underscores, and begin with a letter or digit."),
            name=name[:80],
        )
    return name


def check_path(path: str) -> str:
    """Return `path` if it is a plain absolute path, else raise Invalid."""
    if not path.startswith("/") or _UNSAFE.search(path):
        raise Invalid(
            gettext_noop("“%(path)s” is not a plain absolute path."),
            field="path",
            fix=gettext_noop("Name the file from / on, without “..”, commas and control characters."),
            path=path[:200],
        )
    return path
