"""Saved searches, and actions on several machines."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.virt.models import Batch, SavedSearch
from portal.why import Sight

from .common import CauseSerializer, cause


class SavedSearchSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.username")
    columns = serializers.ListField(child=serializers.CharField())

    class Meta:
        model = SavedSearch
        fields = ("id", "name", "text", "columns", "shared", "owner", "created_at")


class ResultSerializer(serializers.Serializer):
    """What came of one machine."""

    vm = serializers.UUIDField()
    name = serializers.CharField()
    state = serializers.ChoiceField(choices=["waiting", "asked", "done", "refused", "failed"])
    job = serializers.UUIDField(allow_null=True)
    error = CauseSerializer(allow_null=True)


class BatchSerializer(serializers.ModelSerializer):
    owner = serializers.CharField(source="owner.username")
    machines = serializers.SerializerMethodField()

    class Meta:
        model = Batch
        fields = ("id", "verb", "owner", "created_at", "machines")

    @extend_schema_field(serializers.IntegerField())
    def get_machines(self, batch: Batch) -> int:
        return len(batch.results)


class BatchDetailSerializer(BatchSerializer):
    results = serializers.SerializerMethodField()

    class Meta(BatchSerializer.Meta):
        fields = (*BatchSerializer.Meta.fields, "results")  # type: ignore[assignment]

    @extend_schema_field(ResultSerializer(many=True))
    def get_results(self, batch: Batch) -> list[dict[str, Any]]:
        sight = Sight(self.context["view"].actor, [one.get("error") for one in batch.results.values()])
        return [
            {
                "vm": key, "name": one["name"], "state": one["state"], "job": one.get("job"),
                "error": cause(one.get("error"), sight),
            }
            for key, one in batch.results.items()
        ]  # fmt: skip
