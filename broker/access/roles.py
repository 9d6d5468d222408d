"""The roles that come with Berth, after oVirt's, and how a role's verbs are matched."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

if TYPE_CHECKING:
    from .models import Role

BUILTIN: dict[str, tuple[str, list[str]]] = {
    "admin": (N_("Administrator"), ["*"]),
    "auditor": (N_("Auditor (reads everything)"), ["*.view"]),
    "operator": (
        N_("Operator (machines and pools)"),
        ["vm.*", "pool.view", "pool.use", "pool.manage", "host.view", "template.view", "template.use", "cluster.view",
         "storage.view", "network.view", "job.view", "job.cancel", "event.view"],
    ),
    "pool-user": (N_("Pool user (takes desktops)"), ["pool.view", "pool.use"]),
    "vm-user": (N_("Machine user (console and power)"), ["vm.view", "vm.use", "vm.power"]),
    "viewer": (N_("Viewer (looks on)"), ["vm.view"]),
}  # fmt: skip


def sync_builtin_roles() -> None:
    """Write the builtin roles as this version knows them."""
    from .models import Role

    for name, (title, verbs) in BUILTIN.items():
        Role.objects.update_or_create(name=name, defaults={"title": title, "verbs": verbs, "builtin": True})


def covers(verbs: list[str], verb: str) -> bool:
    """Whether a role's verbs include `verb`."""
    return any(pattern == verb or ("*" in pattern and fnmatchcase(verb, pattern)) for pattern in verbs)


def ensure_own(role: "Role") -> None:
    """Raise Conflict for a role that comes with Berth."""
    if role.builtin:
        raise Conflict(
            N_("The role %(name)s comes with Berth and cannot be changed."),
            fix=N_("Make a role of your own with the rights you want."),
            name=role.name,
        )
