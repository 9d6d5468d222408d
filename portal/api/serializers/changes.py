"""What waits for a machine's next start, and what people noted on it."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.virt import pending
from broker.virt.models import Nic, VirtualMachine
from portal.middleware import sentence

from .common import CauseSerializer, RefSerializer, cause


class DifferenceSerializer(serializers.Serializer):
    """`now` → `then`, at the next start. null: not there, of a card or another part."""

    field = serializers.CharField(help_text="The field's name, or the id of a card or another part.")
    title = serializers.SerializerMethodField()
    now = serializers.JSONField(allow_null=True)
    then = serializers.JSONField(allow_null=True)
    reason = serializers.SerializerMethodField(help_text="Why its run does not have it; null: it was not tried.")

    def get_title(self, one: pending.Difference) -> str:
        return sentence(one.title, {})

    @extend_schema_field(CauseSerializer(allow_null=True))
    def get_reason(self, one: pending.Difference) -> Any:
        return cause(dict(one.reason)) if one.reason else None


class NotedSerializer(serializers.ModelSerializer):
    """Mixed into machines: whose they are and what people noted on them."""

    owner = RefSerializer(allow_null=True)
    tags = serializers.SerializerMethodField()
    own_fields = serializers.SerializerMethodField()

    NOTED = ("owner", "notes", "tags", "own_fields")

    class Meta:
        model = VirtualMachine
        fields: Any = ("owner", "notes", "tags", "own_fields")

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_tags(self, vm: VirtualMachine) -> list[str]:
        return [tag.name for tag in vm.tags.all()]

    @extend_schema_field(serializers.DictField(child=serializers.CharField()))
    def get_own_fields(self, vm: VirtualMachine) -> dict[str, str]:
        return {one.name: one.value for one in vm.own_fields.all()}


class NicSerializer(serializers.ModelSerializer):
    network = RefSerializer()
    address = serializers.CharField(source="leased", help_text="What the network's DHCP gave it, as last seen.")

    class Meta:
        model = Nic
        fields = (
            "id", "mac", "network", "model", "connected", "in_kib", "out_kib", "guard", "plugged", "address"
        )  # fmt: skip
