"""Words for what lies on a LUN, and whether it may be taken."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

CONTENTS = {
    "blank": gettext_lazy("blank"),
    "table": gettext_lazy("Berth's table"),
    "volume": gettext_lazy("a machine's disk"),
    "image": gettext_lazy("a disk image"),
    "luks": gettext_lazy("an encrypted volume (LUKS)"),
    "gpt": gettext_lazy("partitions (GPT)"),
    "mbr": gettext_lazy("partitions, or what can be booted from"),
    "lvm": gettext_lazy("a physical volume of LVM"),
    "raid": gettext_lazy("a part of a software RAID"),
    "xfs": gettext_lazy("a file system (XFS)"),
    "btrfs": gettext_lazy("a file system (btrfs)"),
    "ntfs": gettext_lazy("a file system (NTFS)"),
    "ext": gettext_lazy("a file system (ext2, ext3 or ext4)"),
    "gfs": gettext_lazy("a file system (GFS2)"),
    "ocfs": gettext_lazy("a file system (OCFS2)"),
    "zfs": gettext_lazy("a part of a ZFS pool"),
    "vmfs": gettext_lazy("a datastore (VMFS)"),
    "iso": gettext_lazy("the image of a CD"),
    "swap": gettext_lazy("swap space"),
    "sanlock": gettext_lazy("leases of oVirt (sanlock)"),
    "held": gettext_lazy("reserved by somebody"),
    "unknown": gettext_lazy("something else"),
}


def content(lun: Mapping[str, Any]) -> str:
    """What is on it, with the name of the disk when it is one of a Berth."""
    word = str(CONTENTS[lun["content"]])
    return f"{word}, {lun['volume']}" if lun["volume"] else word


def holder(lun: Mapping[str, Any]) -> str:
    """Who uses it, where notes say so."""
    if not lun["holder"]:
        return ""
    if lun["ours"]:
        return _("used by this Berth: %(storage)s") % {"storage": lun["storage"]}
    return _("used by another Berth (%(holder)s): %(storage)s") % {"holder": lun["holder"], "storage": lun["storage"]}


def takeable(lun: Mapping[str, Any]) -> bool:
    """Whether Berth would take it: it is blank, or of a storage that was detached and can be taken in."""
    return lun["content"] in ("blank", "table", "volume") and not lun["holder"]
