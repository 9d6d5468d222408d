"""The roles that come with Berth, after oVirt's, and how a role's verbs are matched."""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_

if TYPE_CHECKING:
    from .models import Role

# name → (title, verbs). Each is meant for the object it is granted on: a storage administrator of one storage, or of
# all storage of a cluster. Whoever only makes things sees those they made, and not everybody's.
BUILTIN: dict[str, tuple[str, list[str]]] = {
    "admin": (N_("Administrator (may do everything)"), ["*"]),
    "auditor": (N_("Auditor (reads everything, changes nothing)"), ["*.view"]),
    "cluster-admin": (
        N_("Cluster administrator (everything of a cluster)"),
        ["backup.*", "cluster.*", "device.*", "disk.*", "host.*", "image.*", "network.*", "pool.*", "quota.view",
         "storage.*", "template.*", "vm.*"],
    ),
    "operator": (
        N_("Operator (machines and pools)"),
        ["vm.*", "disk.*", "pool.view", "pool.use", "pool.manage", "meta-pool.*", "host.view", "template.view",
         "template.use", "cluster.view", "storage.view", "network.view", "image.view", "image.manage", "backup.view",
         "backup.restore", "job.view", "job.cancel", "event.view"],
    ),
    "host-admin": (N_("Host administrator"), ["cluster.view", "device.*", "host.*"]),
    "storage-admin": (N_("Storage administrator"), ["cluster.view", "disk.*", "image.*", "storage.*"]),
    "storage-user": (N_("Storage user (puts disks on it)"), ["storage.view"]),
    "network-admin": (N_("Network administrator"), ["cluster.view", "network.*"]),
    "network-user": (N_("Network user (plugs machines into it)"), ["network.view"]),
    "template-admin": (N_("Template administrator"), ["cluster.view", "storage.view", "template.*"]),
    "template-creator": (
        N_("Template creator (makes templates and owns them)"), ["cluster.view", "storage.view", "template.create"]
    ),
    "template-owner": (N_("Template owner"), ["template.view", "template.use", "template.manage"]),
    "template-user": (N_("Template user (makes machines from it)"), ["template.view", "template.use"]),
    "pool-admin": (
        N_("Pool administrator"),
        ["meta-pool.manage", "meta-pool.use", "meta-pool.view", "pool.view", "pool.use", "pool.manage", "vm.view",
         "vm.use", "vm.power", "vm.edit", "vm.delete"],
    ),
    "pool-user": (
        N_("Pool user (takes desktops)"), ["meta-pool.use", "meta-pool.view", "pool.view", "pool.use"]
    ),
    "power-user": (
        N_("Power user (makes machines and owns them)"),
        ["cluster.view", "image.view", "network.view", "storage.view", "template.create", "template.use",
         "template.view", "vm.create"],
    ),
    "vm-creator": (
        N_("Machine creator (makes machines and owns them)"),
        ["cluster.view", "image.view", "network.view", "storage.view", "vm.create"],
    ),
    "vm-manager": (
        N_("Machine owner"),
        ["vm.view", "vm.use", "vm.serial", "vm.power", "vm.edit", "vm.delete", "vm.manage", "vm.backup", "backup.view",
         "backup.restore"],
    ),
    "vm-user": (N_("Machine user (console and power)"), ["vm.view", "vm.use", "vm.power"]),
    "user": (
        N_("User (takes desktops and uses machines)"),
        ["meta-pool.use", "meta-pool.view", "pool.view", "pool.use", "vm.view", "vm.use", "vm.power"],
    ),
    "viewer": (N_("Viewer (looks on)"), ["vm.view"]),
    "user-admin": (N_("User administrator"), ["group.view", "user.view", "user.manage"]),
    "quota-admin": (N_("Quota administrator"), ["cluster.view", "group.view", "quota.*", "user.view"]),
    "recording-reader": (N_("Reader of recordings"), ["recording.view", "recording.play"]),
    "event-reader": (N_("Reader of events and jobs"), ["event.view", "job.view"]),
}  # fmt: skip


def sync_builtin_roles() -> None:
    """Write the builtin roles as this version knows them: those that differ, which is none as a rule."""
    from .models import Role

    there = {name: rest for name, *rest in Role.objects.values_list("name", "title", "verbs", "builtin")}
    for name, (title, verbs) in BUILTIN.items():
        if there.get(name) != [title, verbs, True]:
            Role.objects.update_or_create(name=name, defaults={"title": title, "verbs": verbs, "builtin": True})


def covers(verbs: list[str], verb: str) -> bool:
    """Whether a role's verbs include `verb`."""
    return any(pattern == verb or ("*" in pattern and fnmatchcase(verb, pattern)) for pattern in verbs)


def ensure_own(role: "Role") -> None:
    """Raise Conflict for a role that comes with Berth."""
    if role.builtin:
        raise Conflict(
            N_("The role %(name)s comes with Berth and cannot be changed."),
            rule="role.own",
            fix=N_("Make a role of your own with the rights you want."),
            name=role.name,
        )
