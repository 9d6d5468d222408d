"""How much of a disk its guest gets: the form, and the words of it."""

from typing import Any

from django import forms
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from broker.access.require import find
from broker.virt.actions.limit_disk import limit_disk
from broker.virt.driver import DiskLimits
from broker.virt.models import Disk, VirtualMachine
from portal.templatetags.berth import bytesize
from portal.web.form_page import FormPage
from portal.web.forms import StyledForm

MIB = 1 << 20
_MOST_MIB, _MOST_IOPS = 10**5, 10**7


def _number(label: Any, most: int) -> forms.IntegerField:
    return forms.IntegerField(label=label, min_value=0, max_value=most, required=False)


class LimitsForm(StyledForm):
    """MiB a second, and operations a second; empty: no limit."""

    total_bytes = _number(gettext_lazy("MiB a second in all"), _MOST_MIB)
    read_bytes = _number(gettext_lazy("MiB a second read"), _MOST_MIB)
    write_bytes = _number(gettext_lazy("MiB a second written"), _MOST_MIB)
    total_iops = _number(gettext_lazy("Operations a second in all"), _MOST_IOPS)
    read_iops = _number(gettext_lazy("Reads a second"), _MOST_IOPS)
    write_iops = _number(gettext_lazy("Writes a second"), _MOST_IOPS)


def told(disk: Disk) -> str:
    """The limits in a few words."""
    words = {
        "total_bytes": _("%(value)s/s"), "read_bytes": _("%(value)s/s read"), "write_bytes": _("%(value)s/s written"),
        "total_iops": _("%(value)s operations/s"), "read_iops": _("%(value)s reads/s"),
        "write_iops": _("%(value)s writes/s"),
    }  # fmt: skip
    limits = {name: value for name, value in (disk.limits or {}).items() if value and name in words}
    return ", ".join(
        words[name] % {"value": bytesize(value) if name.endswith("bytes") else value} for name, value in limits.items()
    )


class LimitDisk(FormPage):
    def form(self, data: Any, pk: Any, disk: Any) -> LimitsForm:
        limits = self._disk(pk, disk).limits or {}
        return LimitsForm(
            data,
            initial={
                name: (value // MIB if name.endswith("bytes") else value) or None for name, value in limits.items()
            },
        )

    def make(self, values: dict[str, Any], pk: Any, disk: Any) -> str:
        wanted = {
            name: (value or 0) * (MIB if name.endswith("bytes") else 1) for name, value in values.items()
        }  # fmt: skip
        limit_disk(actor=self.actor, disk=self._disk(pk, disk), limits=DiskLimits(**wanted))
        return reverse("portal:vm-disks", args=[pk])

    def words(self, pk: Any, disk: Any) -> dict[str, Any]:
        return {
            "title": _("Limits of the disk %(target)s") % {"target": self._disk(pk, disk).target},
            "under": _("A running guest is held to them at once. In all, or for reading and writing each."),
            "submit": _("Set them"),
            "back_url": reverse("portal:vm-disks", args=[pk]),
            "back_label": _("Disks and snapshots"),
        }

    def _disk(self, pk: Any, disk: Any) -> Disk:
        from .disks import disk_of

        return disk_of(find(self.actor, VirtualMachine, pk, "vm.edit"), disk)
