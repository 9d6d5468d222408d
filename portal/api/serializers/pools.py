"""Pools, desktops and who is entitled."""

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.access.models import Grant
from pools.models import Desktop, Pool

from .common import CauseSerializer, RefSerializer, cause
from .readiness import HoursSerializer, RuleSerializer, TargetSerializer


class PoolSerializer(serializers.ModelSerializer):
    """`alert` is told to who manages the pool."""

    cluster = RefSerializer()
    template = RefSerializer(allow_null=True, help_text="null: its desktops are physical PCs.")
    version = RefSerializer(allow_null=True)
    storage = RefSerializer(allow_null=True)
    network = RefSerializer(allow_null=True)
    desktops = serializers.IntegerField(source="desktop_count")
    free = serializers.IntegerField(source="free_count")
    assigned = serializers.IntegerField(source="assigned_count")
    alert = serializers.SerializerMethodField()
    hours = HoursSerializer(many=True)
    schedule = RuleSerializer(many=True)
    target = TargetSerializer(allow_null=True)

    class Meta:
        model = Pool
        fields = (
            "id", "name", "title", "description", "cluster", "template", "version", "storage", "network", "kind",
            "stateful", "size", "prestarted", "suspended", "zone", "schedule", "hours", "after_hours", "forecast",
            "protected", "booked", "target", "max_per_user", "name_pattern", "state", "desktops", "free", "assigned",
            "alert", "revision", "created_at",
        )  # fmt: skip

    @extend_schema_field(CauseSerializer(allow_null=True))
    def get_alert(self, pool: Pool) -> dict[str, str] | None:
        return cause(pool.alert) if pool.pk in self.context["view"].managed() else None


class DesktopSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="pk")
    name = serializers.CharField(source="vm.name")
    title = serializers.CharField(source="vm.title")
    pool = RefSerializer()
    holder = RefSerializer(allow_null=True)
    power_state = serializers.CharField(source="vm.power_state")
    vm_state = serializers.CharField(source="vm.state")
    observed_at = serializers.DateTimeField(source="vm.observed_at", allow_null=True)
    job = serializers.UUIDField(source="active_job", allow_null=True, help_text="The job at work on its machine.")
    version = RefSerializer(source="vm.template_version", allow_null=True)
    update = serializers.IntegerField(  # type: ignore[assignment]  # a field's name, not the method
        source="update_number", allow_null=True, help_text="The number of the version that waits for it, null for none."
    )

    class Meta:
        model = Desktop
        fields = (
            "id", "name", "title", "pool", "number", "state", "holder", "held_since", "power_state", "vm_state",
            "observed_at", "job", "version", "update",
        )  # fmt: skip


class EntitlementSerializer(serializers.ModelSerializer):
    user = RefSerializer(allow_null=True)
    group = RefSerializer(allow_null=True)
    role = serializers.CharField(source="role.name")

    class Meta:
        model = Grant
        fields = ("id", "user", "group", "role", "created_at")


class AllocationSerializer(serializers.Serializer):
    """`state` "ready": connect now; "starting": `job` brings it up."""

    state = serializers.ChoiceField(choices=["ready", "starting"])
    desktop = RefSerializer()
    job = serializers.UUIDField(source="job.pk", allow_null=True, default=None)
