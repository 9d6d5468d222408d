"""Meta-pools, and what came of taking a desktop through one."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from pools.models import MetaPool

from .common import RefSerializer
from .why import WhySerializer


class MetaPoolSerializer(serializers.ModelSerializer):
    """`pools` in their order: those the caller may see."""

    pools = serializers.SerializerMethodField()
    policy = serializers.CharField(help_text="priority, even or most-free.")

    class Meta:
        model = MetaPool
        fields = ("id", "name", "title", "description", "policy", "max_per_user", "pools", "revision", "created_at")

    @extend_schema_field(RefSerializer(many=True))
    def get_pools(self, meta: MetaPool) -> list[dict[str, Any]]:
        seen = self.context["view"].seen()
        members = [member.pool for member in meta.members.all() if member.pool_id in seen]
        return list(RefSerializer(members, many=True).data)


class MetaAllocationSerializer(serializers.Serializer):
    """`state` "ready": connect now; "starting": `job` brings it up. `why`: why no other pool, when one was chosen."""

    state = serializers.CharField(source="allocation.state")
    desktop = RefSerializer(source="allocation.desktop")
    pool = RefSerializer(source="allocation.desktop.pool")
    job = serializers.UUIDField(source="allocation.job.pk", allow_null=True, default=None)
    why = WhySerializer(allow_null=True)
