"""PCI and USB devices of hosts in the back office, as the monitor saw them; given to machines on the portal's pages."""

from typing import Any

from django.contrib import admin
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from broker.virt.host_devices import UNFIT
from broker.virt.models import DeviceUse, HostDevice

from .rows import Inline, Rows
from .site import site


class UseInline(Inline):
    model = DeviceUse
    fields = readonly_fields = ("vm", "plugged")
    verbose_name_plural = gettext_lazy("Had by")


@admin.register(HostDevice, site=site)
class HostDeviceAdmin(Rows):
    list_display = ("title", "key", "host", "group", "driver", "fit", "present")
    list_filter = (("kind", ChoicesDropdownFilter), ("host", RelatedDropdownFilter), "present")
    search_fields = ("title", "key")
    list_select_related = ("host",)
    inlines = (UseInline,)

    @display(description=gettext_lazy("Not for machines"), ordering="unfit")
    def fit(self, device: HostDevice) -> Any:
        return _(UNFIT[device.unfit][0]) if device.unfit else "–"
