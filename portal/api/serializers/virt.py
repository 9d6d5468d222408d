"""Machines and what they run on."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.access.require import may
from broker.core.tables import complete
from broker.virt import macs
from broker.virt.ha.rules import SETTINGS as HA_SETTINGS
from broker.virt.host_status import HostStatus, status_of
from broker.virt.migrating import policies
from broker.virt.models import (
    Cluster,
    Disk,
    ForeignMachine,
    Host,
    Network,
    Sample,
    StorageDomain,
    TemplateVersion,
    VirtualMachine,
    VmTemplate,
)
from broker.virt.pending import differences
from broker.virt.pending import of as pending_of
from broker.virt.placement.policy import SETTINGS
from portal.sealing import left_unsealed

from .changes import DifferenceSerializer, NicSerializer, NotedSerializer
from .common import RefSerializer


class MacUseSerializer(serializers.Serializer):
    """Of so many addresses in all so many are used."""

    size = serializers.IntegerField()
    used = serializers.IntegerField()


class ClusterSerializer(serializers.ModelSerializer):
    mac_ranges = serializers.SerializerMethodField(help_text="Of which addresses its cards get theirs.")
    mac_use = serializers.SerializerMethodField(help_text="How many of them some card has; null without a range.")
    rules = serializers.SerializerMethodField(help_text="All settings of placement, as they hold.")
    migration = serializers.SerializerMethodField(help_text="All settings of live migration, as they hold.")
    ha = serializers.SerializerMethodField(help_text="All settings of high availability, as they hold.")

    class Meta:
        model = Cluster
        fields = ("id", "name", "description", "rules", "ha", "migration", "mac_ranges", "mac_use")

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_mac_ranges(self, cluster: Cluster) -> list[str]:
        return cluster.mac_ranges.splitlines()

    @extend_schema_field(MacUseSerializer(allow_null=True))
    def get_mac_use(self, cluster: Cluster) -> Any:
        """Looked up for all of a list at once."""
        context: Any = self.context
        shown: Any = self.parent.instance if isinstance(self.parent, serializers.ListSerializer) else [cluster]
        if "mac_use" not in context:
            context["mac_use"] = macs.use_of(list(shown))
        use = context["mac_use"].get(cluster)
        return MacUseSerializer(use).data if use else None

    @extend_schema_field(serializers.DictField())
    def get_rules(self, cluster: Cluster) -> Any:
        return complete(SETTINGS, cluster.rules)

    @extend_schema_field(serializers.DictField())
    def get_migration(self, cluster: Cluster) -> Any:
        return complete(policies.SETTINGS, cluster.migration)

    @extend_schema_field(serializers.DictField())
    def get_ha(self, cluster: Cluster) -> Any:
        return complete(HA_SETTINGS, cluster.ha)


class HugePagesSerializer(serializers.Serializer):
    kib = serializers.IntegerField(help_text="The size of each.")
    total = serializers.IntegerField()
    free = serializers.IntegerField()


class HostNodeSerializer(serializers.Serializer):
    number = serializers.IntegerField()
    cpus = serializers.CharField(help_text="The numbers of its processors that are in use, such as 0-3,6.")
    memory_bytes = serializers.IntegerField()
    pages = HugePagesSerializer(many=True, default=list, help_text="The huge pages that it keeps.")


class HostSerializer(serializers.ModelSerializer):
    cluster = RefSerializer()
    graphics = serializers.ListField(child=serializers.CharField())
    labels = serializers.ListField(child=serializers.CharField())
    vms_running = serializers.IntegerField()
    nodes = HostNodeSerializer(many=True, read_only=True, help_text="Its NUMA nodes.")
    status = serializers.SerializerMethodField(help_text="What it is like now; `state` is what is wanted of it.")

    class Meta:
        model = Host
        fields = (
            "id",
            "name",
            "cluster",
            "driver",
            "uri",
            "host_key",
            "state",
            "status",
            "may_sleep",
            "asleep_at",
            "error",
            "observed_at",
            "hostname",
            "hypervisor",
            "manager",
            "cpus",
            "cpu_model",
            "nodes",
            "memory_bytes",
            "memory_free_bytes",
            "emulated",
            "emulated_reason",
            "graphics",
            "labels",
            "vms_running",
        )

    @extend_schema_field(serializers.ChoiceField([one.value for one in HostStatus]))
    def get_status(self, host: Host) -> str:
        return status_of(host)


class ForeignMachineSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="uuid", help_text="The one the hypervisor knows it by.")

    class Meta:
        model = ForeignMachine
        fields = ("id", "name", "power_state", "vcpus", "memory_bytes", "observed_at")


class StorageDomainSerializer(serializers.ModelSerializer):
    cluster = RefSerializer()
    host = RefSerializer(allow_null=True)
    level = serializers.ChoiceField(choices=["ok", "warning", "critical"], read_only=True)
    luns = serializers.ListField(child=serializers.IntegerField(), read_only=True)
    mount = serializers.DictField(read_only=True, help_text="Of NFS: what was chosen of how hosts mount it.")

    class Meta:
        model = StorageDomain
        fields = (
            "id", "name", "cluster", "host", "kind", "path", "server", "export", "version", "mount", "luns", "user",
            "state",
            "error", "held_by", "capacity_bytes", "available_bytes", "level", "warning_percent", "critical_percent",
            "wipe_after_delete", "observed_at",
        )  # fmt: skip


class NetworkSerializer(serializers.ModelSerializer):
    cluster = RefSerializer()

    class Meta:
        model = Network
        fields = ("id", "name", "cluster", "kind", "bridge", "subnet", "vlan", "mtu", "guard")


class TemplateSerializer(serializers.ModelSerializer):
    cluster = RefSerializer()
    versions = serializers.IntegerField(source="version_count")

    class Meta:
        model = VmTemplate
        fields = ("id", "name", "cluster", "description", "os_name", "versions")


class SealingSerializer(serializers.Serializer):
    """How sealing went. `left`: what was not sealed, in sentences."""

    outcome = serializers.ChoiceField(choices=["sealed", "partly", "unsealed"])
    left = serializers.ListField(child=serializers.CharField())


class TemplateVersionSerializer(serializers.ModelSerializer):
    template = RefSerializer()
    storage = RefSerializer()
    graphics = serializers.ListField(child=serializers.CharField())
    options = serializers.DictField(help_text="The hardware beyond their size that machines made from it get.")
    sealing = serializers.SerializerMethodField()

    class Meta:
        model = TemplateVersion
        fields = (
            "id",
            "template",
            "number",
            "notes",
            "state",
            "storage",
            "size_bytes",
            "vcpus",
            "memory_mib",
            "machine",
            "graphics",
            "options",
            "made_from",
            "sealing",
            "created_at",
        )

    @extend_schema_field(SealingSerializer(allow_null=True))
    def get_sealing(self, version: TemplateVersion) -> dict[str, Any] | None:
        return {"outcome": version.sealing["outcome"], "left": left_unsealed(version)} if version.sealing else None


class VmSerializer(NotedSerializer):
    """`host` is told only to who may see hosts; where consoles listen is told to nobody."""

    cluster = RefSerializer()
    host = serializers.SerializerMethodField()
    template_version = RefSerializer(allow_null=True)
    instance_type = RefSerializer(allow_null=True)
    pool = serializers.SerializerMethodField()
    graphics = serializers.ListField(child=serializers.CharField())
    job = serializers.UUIDField(source="active_job", allow_null=True, help_text="The job at work on it.")

    class Meta:
        model = VirtualMachine
        fields = (
            "id",
            "name",
            "title",
            "description",
            *NotedSerializer.NOTED,
            "protected",
            "available",
            "leased",
            "on_error",
            "autostart",
            "autostart_order",
            "autostart_delay",
            "priority",
            "labels",
            "cluster",
            "host",
            "pool",
            "template_version",
            "instance_type",
            "linked",
            "vcpus",
            "memory_mib",
            "machine",
            "graphics",
            "state",
            "power_state",
            "power_reason",
            "observed_at",
            "created_at",
            "booted_at",
            "cpu_percent",
            "memory_used_bytes",
            "job",
        )

    @extend_schema_field(RefSerializer(allow_null=True))
    def get_host(self, vm: VirtualMachine) -> Any:
        if vm.host is None or not may(self.context["view"].actor, "host.view"):
            return None
        return RefSerializer(vm.host).data

    @extend_schema_field(RefSerializer(allow_null=True))
    def get_pool(self, vm: VirtualMachine) -> Any:
        desktop = getattr(vm, "desktop", None)
        return RefSerializer(desktop.pool).data if desktop else None


class DiskSerializer(serializers.ModelSerializer):
    class Meta:
        model = Disk
        fields = ("id", "target", "size_bytes", "allocated_bytes", "generation")


class VmDetailSerializer(VmSerializer):
    disks = DiskSerializer(many=True)
    nics = NicSerializer(many=True)
    options = serializers.DictField(help_text="The hardware somebody chose; what is not named is as it was made.")
    guest = serializers.DictField(help_text="What the guest agent says: host name, operating system, addresses, users.")

    pending = serializers.SerializerMethodField(help_text="What its next start will change.")

    class Meta(VmSerializer.Meta):
        fields = (  # type: ignore[assignment]
            *VmSerializer.Meta.fields, "options", "pending", "disks", "nics", "guest", "guest_at"
        )  # fmt: skip

    @extend_schema_field(DifferenceSerializer(many=True))
    def get_pending(self, vm: VirtualMachine) -> Any:
        return DifferenceSerializer(differences(vm, pending_of(vm)), many=True).data


class SampleSerializer(serializers.ModelSerializer):
    class Meta:
        model = Sample
        fields = (
            "at",
            "cpu_percent",
            "memory_used_bytes",
            "disk_read_rate",
            "disk_write_rate",
            "net_in_rate",
            "net_out_rate",
        )
