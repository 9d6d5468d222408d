"""The verbs there are, so that a role with a typing error is refused instead of granting nothing."""

import re
from collections.abc import Iterable

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from .roles import covers

# verb → what it lets one do, as the pages say it
VERBS: dict[str, str] = {
    "vm.view": N_("See the machine"),
    "vm.use": N_("Open its console"),
    "vm.serial": N_("Read and type on its serial line"),
    "vm.power": N_("Start and stop it"),
    "vm.edit": N_("Change it and reset its disks"),
    "vm.create": N_("Make machines"),
    "vm.migrate": N_("Move it to another host"),
    "vm.delete": N_("Delete the machine"),
    "vm.manage": N_("Give others rights on the machine"),
    "vm.backup": N_("Back the machine up"),
    "backup.view": N_("See backups"),
    "backup.restore": N_("Restore machines from backups"),
    "backup.manage": N_("Verify and delete backups, and set targets and schedules"),
    "recording.view": N_("See that consoles were recorded"),
    "recording.play": N_("Watch recordings"),
    "recording.delete": N_("Delete recordings"),
    "pool.view": N_("See the pool"),
    "pool.use": N_("Take a desktop of it"),
    "pool.manage": N_("Make, change and delete pools, and entitle people"),
    "meta-pool.view": N_("See the meta-pool"),
    "meta-pool.use": N_("Take a desktop of one of its pools"),
    "meta-pool.manage": N_("Make, change and delete meta-pools, and entitle people"),
    "host.view": N_("See the host"),
    "host.manage": N_("Add, change and remove hosts"),
    "device.view": N_("See the PCI and USB devices of hosts"),
    "device.use": N_("Give machines devices of their host"),
    "template.view": N_("See the template"),
    "template.use": N_("Make machines and pools from it"),
    "template.create": N_("Make templates"),
    "template.manage": N_("Change and delete the template, and make versions"),
    "storage.view": N_("See the storage, and put disks on it"),
    "storage.manage": N_("Add, change and remove storage"),
    "disk.view": N_("See disks that belong to no machine"),
    "disk.manage": N_("Attach and delete disks that belong to no machine"),
    "image.view": N_("See images, and make machines from them"),
    "image.manage": N_("Upload and delete images"),
    "network.view": N_("See the network, and plug into it"),
    "network.manage": N_("Make, change and remove networks"),
    "cluster.view": N_("See the cluster"),
    "cluster.manage": N_("Make, change and remove clusters"),
    "quota.view": N_("See quotas and what is used"),
    "quota.manage": N_("Set quotas"),
    "job.view": N_("See all jobs"),
    "job.cancel": N_("Cancel jobs"),
    "event.view": N_("Read all events"),
    "user.view": N_("See people"),
    "user.manage": N_("Make, change and disable people"),
    "group.view": N_("See groups"),
    "directory.view": N_("See where people come from"),
    "system.view": N_("See roles, grants and settings"),
    "system.manage": N_("Change roles, grants and settings"),
}
_PATTERN = re.compile(r"[a-z*][a-z*-]*(\.[a-z*][a-z*-]*)?")


def checked_verbs(patterns: Iterable[str], known: Iterable[str] = VERBS) -> list[str]:
    """The patterns, sorted and without doubles. Raises Invalid for one that stands for no verb of `known` at all."""
    patterns, known = list(patterns), tuple(known)
    for pattern in patterns:
        # "*" is the only wild card: whether one pattern lies within another could not be told with "?" and "[…]".
        if not _PATTERN.fullmatch(pattern) or not any(covers([pattern], verb) for verb in known):
            raise Invalid(
                N_("There is no right called %(verb)s."),
                field="verbs",
                fix=N_('Use names like "vm.power", or "vm.*" and "*.view" for several.'),
                verb=pattern[:64],
            )
    return sorted(set(patterns))
