"""Clusters, hosts, storage, networks and templates in the back office."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter
from unfold.decorators import display

from broker.virt import macs
from broker.virt.actions.activate_host import activate_host
from broker.virt.actions.activate_storage import activate_storage
from broker.virt.actions.confirm_rebooted import confirm_rebooted
from broker.virt.actions.create_cluster import create_cluster
from broker.virt.actions.create_host import create_host
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.create_template import create_template
from broker.virt.actions.delete_cluster import delete_cluster
from broker.virt.actions.delete_host import delete_host
from broker.virt.actions.delete_network import delete_network
from broker.virt.actions.delete_storage import delete_storage
from broker.virt.actions.delete_template import delete_template
from broker.virt.actions.delete_template_version import delete_template_version
from broker.virt.actions.detach_storage import detach_storage
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.actions.edit_host import edit_host
from broker.virt.actions.edit_network import edit_network
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.actions.edit_template import edit_template
from broker.virt.actions.edit_template_version import edit_template_version
from broker.virt.actions.evacuate_host import evacuate_host
from broker.virt.actions.fence_host import fence_host
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.actions.tidy_storage import tidy_storage
from broker.virt.actions.wake_host import wake_host
from broker.virt.models import Cluster, Host, MonitorProcess, Network, StorageDomain, TemplateVersion, VmTemplate
from broker.virt.states import HostState
from portal.sealing import left_unsealed
from portal.templatetags.berth import bytesize, mib, share

from .deeds import Deed, with_deeds
from .rows import AMBER, BLUE, GREEN, GREY, RED, Inline, Rows, bar, link, worded
from .site import site

GONE = _("It is removed from Berth. This is refused while something uses it.")


@admin.register(Cluster, site=site)
@with_deeds(Deed("delete", _("Delete"), delete_cluster, "cluster", GONE, "delete", destroys=True))
class ClusterAdmin(Rows):
    addable = editable = True
    list_display = ("name", "description")
    search_fields = ("name",)
    readonly_fields = ("mac_use",)

    @display(description=_("MAC addresses used"))
    def mac_use(self, cluster: Cluster) -> str:
        use = macs.use_of([cluster]).get(cluster) if cluster.pk else None
        return _("%(used)s of %(size)s") % {"used": use.used, "size": use.size} if use else "–"

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> Cluster:
        return create_cluster(actor=self.actor(request), **values)

    def change_by(self, request: HttpRequest, obj: Cluster, values: dict[str, Any]) -> None:
        edit_cluster(actor=self.actor(request), cluster=obj, **values)


CHANGEABLE_OF_HOST = ("name", "uri", "host_key", "may_sleep")


@admin.register(Host, site=site)
@with_deeds(
    Deed(
        "maintain",
        _("To maintenance"),
        maintain_host,
        "host",
        _("No machine is started on it any more; those that run go on."),
        "build",
    ),
    Deed(
        "evacuate",
        _("Empty, then to maintenance"),
        evacuate_host,
        "host",
        _("Its machines are moved to other hosts; when it is empty it is in maintenance."),
        "move_up",
    ),
    Deed(
        "fence",
        _("Cut its power"),
        fence_host,
        "host",
        _("The host is switched off hard by its power management, and all machines on it with it."),
        "power_off",
        destroys=True,
    ),
    Deed(
        "confirm",
        _("It was switched off"),
        confirm_rebooted,
        "host",
        _("Your word that it is off counts as proof. If it is not, its machines may run twice and lose data."),
        "verified_user",
        destroys=True,
    ),
    Deed("wake", _("Wake"), wake_host, "host", _("It is switched on, if it was switched off to save power."), "bolt"),
    Deed("activate", _("Activate"), activate_host, "host", _("Machines are started on it again."), "play_arrow"),
    Deed("delete", _("Delete"), delete_host, "host", GONE, "delete", destroys=True),
)
class HostAdmin(Rows):
    """What a host is comes from the host itself."""

    addable = editable = True
    list_display = ("headline", "life", "reach", "cluster", "cpus", "memory", "manager", "observed_at")
    list_filter = (("state", ChoicesDropdownFilter), ("cluster", RelatedDropdownFilter), "emulated")
    search_fields = ("name", "hostname", "uri")
    list_select_related = ("cluster",)
    fieldsets = (
        (
            None,
            {"fields": (("name", "cluster"), ("driver", "uri"), "host_key", ("life", "reach"), "error", "may_sleep")},
        ),
        (
            _("Seen"),
            {
                "fields": (
                    ("observed_at", "hostname"),
                    ("hypervisor", "manager"),
                    ("cpus", "cpu_model"),
                    ("memory", "graphics"),
                    "nodes",
                    ("emulated", "emulated_reason"),
                    "observed_uuid",
                )
            },
        ),
    )
    add_fieldsets = ((None, {"fields": ("cluster", "name", "driver", "uri", "host_key")}),)
    readonly_fields = ("life", "reach", "memory")

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> Host:
        return create_host(actor=self.actor(request), **values)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        seen = [field.name for field in Host._meta.fields if field.name not in CHANGEABLE_OF_HOST]
        return (*self.readonly_fields, *seen) if obj else self.readonly_fields

    def change_by(self, request: HttpRequest, obj: Host, values: dict[str, Any]) -> None:
        edit_host(actor=self.actor(request), host=obj, **values)

    @display(description=_("Name"), ordering="name", header=True)
    def headline(self, host: Host) -> list[str]:
        return [host.name, host.hostname or host.uri, host.name[:2].upper()]

    @display(
        description=_("State"),
        ordering="state",
        label={"active": GREEN, "preparing": AMBER, "maintenance": AMBER, "asleep": BLUE},
    )
    def life(self, host: Host) -> tuple[str, str]:
        return worded(host.state)

    @display(
        description=_("Connection"),
        label={_("answers"): GREEN, _("does not answer"): RED, _("never seen"): AMBER, _("asleep"): BLUE},
    )
    def reach(self, host: Host) -> Any:
        if host.state == HostState.ASLEEP:
            return _("asleep")
        if host.error:
            return _("does not answer")
        return _("answers") if host.observed_at else _("never seen")

    @display(description=_("Memory in use"))
    def memory(self, host: Host) -> Any:
        used = host.memory_bytes - host.memory_free_bytes
        return bar(share(used, host.memory_bytes), f"{bytesize(used)} / {bytesize(host.memory_bytes)}")


CHANGEABLE = ("name", "warning_percent", "critical_percent", "wipe_after_delete")


@admin.register(StorageDomain, site=site)
@with_deeds(
    Deed("maintain", _("To maintenance"), maintain_storage, "storage", _("Nothing is made on it any more."), "build"),
    Deed(
        "tidy",
        _("Look for left-over files"),
        tidy_storage,
        "storage",
        _("Files that nothing refers to are listed on its page; nothing is removed."),
        "search",
    ),
    Deed("activate", _("Activate"), activate_storage, "storage", _("It is used again."), "play_arrow"),
    Deed(
        "detach",
        _("Detach"),
        detach_storage,
        "storage",
        _("Its machines and templates go with it; another Berth can import them."),
        "eject",
        destroys=True,
    ),
    Deed("delete", _("Delete"), delete_storage, "storage", GONE, "delete", destroys=True),
)
class StorageAdmin(Rows):
    addable = editable = True
    list_display = ("name", "state", "cluster", "host", "kind", "path", "used", "free", "observed_at")
    list_filter = (("cluster", RelatedDropdownFilter),)
    search_fields = ("name", "path")
    list_select_related = ("cluster", "host")
    add_fieldsets = (
        (
            None,
            {
                "fields": (
                    "cluster",
                    "name",
                    "kind",
                    "path",
                    "host",
                    ("server", "export", "version"),
                    ("luns",),
                    "wipe_after_delete",
                )
            },
        ),
    )
    exclude = ("secret",)

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> StorageDomain:
        return create_storage(actor=self.actor(request), **values)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = [field.name for field in StorageDomain._meta.fields if field.name not in (*CHANGEABLE, "secret")]
        return shown if obj else ()

    def change_by(self, request: HttpRequest, obj: StorageDomain, values: dict[str, Any]) -> None:
        edit_storage(actor=self.actor(request), storage=obj, **values)

    @display(description=_("Used"))
    def used(self, storage: StorageDomain) -> Any:
        used = storage.capacity_bytes - storage.available_bytes
        return bar(share(used, storage.capacity_bytes), f"{bytesize(used)} / {bytesize(storage.capacity_bytes)}")

    @display(description=_("Free"), ordering="available_bytes")
    def free(self, storage: StorageDomain) -> str:
        return bytesize(storage.available_bytes)


@admin.register(Network, site=site)
@with_deeds(Deed("delete", _("Delete"), delete_network, "network", GONE, "delete", destroys=True))
class NetworkAdmin(Rows):
    addable = editable = True
    list_display = ("name", "cluster", "kind", "subnet", "bridge", "vlan", "mtu", "guard")
    list_filter = (("kind", ChoicesDropdownFilter), ("cluster", RelatedDropdownFilter))
    search_fields = ("name", "bridge", "subnet")
    list_select_related = ("cluster",)

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> Network:
        numbers = {name: values.get(name) or 0 for name in ("vlan", "mtu")}
        return create_network(actor=self.actor(request), **{**values, **numbers})

    def change_by(self, request: HttpRequest, obj: Network, values: dict[str, Any]) -> None:
        edit_network(actor=self.actor(request), network=obj, **values)

    def get_readonly_fields(self, request: HttpRequest, obj: Network | None = None) -> Any:
        return ("cluster", "kind") if obj is not None else ()

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {**super().get_changeform_initial_data(request), "guard": ""}


class VersionInline(Inline):
    model = TemplateVersion
    fields = readonly_fields = (
        "number",
        "state",
        "storage",
        "volume",
        "size_bytes",
        "vcpus",
        "memory_mib",
        "created_at",
    )
    show_change_link = True


@admin.register(VmTemplate, site=site)
@with_deeds(
    Deed(
        "delete",
        _("Delete"),
        delete_template,
        "template",
        _("The template goes, and the images of all its versions."),
        "delete",
        destroys=True,
    )
)
class TemplateAdmin(Rows):
    """Versions are imported on the portal's template page."""

    addable = editable = True
    list_display = ("name", "os_name", "cluster", "description")
    list_filter = (("cluster", RelatedDropdownFilter),)
    search_fields = ("name", "os_name")
    list_select_related = ("cluster",)
    inlines = (VersionInline,)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("cluster", "name") if obj else ()

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> VmTemplate:
        return create_template(actor=self.actor(request), **values)

    def change_by(self, request: HttpRequest, obj: VmTemplate, values: dict[str, Any]) -> None:
        edit_template(actor=self.actor(request), template=obj, **values)


@admin.register(TemplateVersion, site=site)
@with_deeds(
    Deed(
        "delete",
        _("Delete"),
        delete_template_version,
        "version",
        _("The version's image is removed."),
        "delete",
        destroys=True,
    )
)
class VersionAdmin(Rows):
    """Only the notes can be written."""

    editable = True
    list_display = ("template_link", "number", "life", "sealed", "storage", "size", "vcpus", "memory", "created_at")
    fields = (("template_link", "number"), "notes", ("life", "sealed"), "unsealed", ("made_from", "created_at"),
              ("storage", "size"), ("vcpus", "memory"), ("machine", "volume"), "options")  # fmt: skip
    list_filter = (("state", ChoicesDropdownFilter), ("template", RelatedDropdownFilter))
    search_fields = ("template__name", "notes")
    list_select_related = ("template", "storage")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        names = [name for line in self.fields for name in ((line,) if isinstance(line, str) else line)]
        return [name for name in names if name != "notes"]

    def change_by(self, request: HttpRequest, obj: TemplateVersion, values: dict[str, Any]) -> None:
        edit_template_version(actor=self.actor(request), version=obj, **values)

    @display(description=_("Sealed"), label={"sealed": GREEN, "partly": AMBER, "unsealed": AMBER, "–": GREY})
    def sealed(self, version: TemplateVersion) -> tuple[str, str]:
        return worded(version.sealing.get("outcome") or "–")

    @display(description=_("Not sealed"))
    def unsealed(self, version: TemplateVersion) -> str:
        return "; ".join(left_unsealed(version)) or "–"

    @display(description=_("Template"), ordering="template")
    def template_link(self, version: TemplateVersion) -> Any:
        return link(version.template)

    @display(description=_("State"), ordering="state", label={"ready": GREEN, "building": BLUE, "deleting": AMBER})
    def life(self, version: TemplateVersion) -> tuple[str, str]:
        return worded(version.state)

    @display(description=_("Size"), ordering="size_bytes")
    def size(self, version: TemplateVersion) -> str:
        return bytesize(version.size_bytes)

    @display(description=_("Memory"), ordering="memory_mib")
    def memory(self, version: TemplateVersion) -> str:
        return mib(version.memory_mib)


@admin.register(MonitorProcess, site=site)
class MonitorProcessAdmin(Rows):
    list_display = ("name", "seen_at")
