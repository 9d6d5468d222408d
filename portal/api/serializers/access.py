"""Quotas with their use, and what somebody may do and why."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.access.models import Quota
from broker.access.resources import RESOURCES
from broker.access.usage import Use
from portal.middleware import sentence

from .common import RefSerializer


class UseSerializer(serializers.Serializer):
    """One limit and how much of it is used. `by`: who uses most, for a quota of each member.

    `grace_ends_at`: it is over the limit, and nothing more is given from then on.
    """

    resource = serializers.ChoiceField(choices=list(RESOURCES))
    limit = serializers.IntegerField()
    used = serializers.FloatField()
    percent = serializers.IntegerField()
    by = serializers.UUIDField(allow_null=True)
    grace_ends_at = serializers.DateTimeField(allow_null=True)


class QuotaSerializer(serializers.ModelSerializer):
    user = RefSerializer(allow_null=True)
    group = RefSerializer(allow_null=True)
    cluster = RefSerializer(allow_null=True)
    use = serializers.SerializerMethodField()

    class Meta:
        model = Quota
        fields = (
            "id", "user", "group", "cluster", "each", "mode", *RESOURCES, "threshold_percent", "grace_percent",
            "grace_hours", "use", "created_at",
        )  # fmt: skip

    @extend_schema_field(UseSerializer(many=True))
    def get_use(self, quota: Quota) -> list[dict[str, Any]]:
        """Read for all quotas of the answer at once, by the view."""
        uses: list[Use] = self.context["uses"].get(quota.pk, [])
        return [dict(UseSerializer(one).data) for one in uses]


class WaySerializer(serializers.Serializer):
    """What gives the right: a role, one's own or a group's, on an object; or, `lent`, holding the desktop."""

    role = serializers.CharField(allow_blank=True)
    group = serializers.CharField(allow_blank=True)
    kind = serializers.CharField(allow_blank=True, help_text="What the role was given on: system, cluster, pool, …")
    object_id = serializers.UUIDField(allow_null=True)
    name = serializers.CharField(allow_blank=True, help_text="Empty for what you may not see.")
    inherited = serializers.BooleanField()
    lent = serializers.BooleanField()


class AnswerSerializer(serializers.Serializer):
    """One right: whether, and by which ways."""

    verb = serializers.CharField()
    text = serializers.SerializerMethodField()
    allowed = serializers.BooleanField()
    ways = WaySerializer(many=True)

    def get_text(self, answer: Any) -> str:
        return sentence(answer.words, {})


class LimitSerializer(serializers.Serializer):
    quota = RefSerializer()
    mode = serializers.ChoiceField(choices=Quota.Mode.choices, source="quota.mode")
    use = UseSerializer(source="uses", many=True)


class RightsSerializer(serializers.Serializer):
    """What a user may do: to an object, or without one to the whole system; `ways` then tell of every object."""

    user = RefSerializer()
    active = serializers.BooleanField()
    object = RefSerializer(allow_null=True)
    answers = AnswerSerializer(many=True)
    quotas = LimitSerializer(many=True)
    pools = RefSerializer(many=True, help_text="Of which the user may take a desktop now.")
    meta_pools = RefSerializer(many=True, help_text="The same of cards over several pools.")
    desktops = RefSerializer(many=True, help_text="Those the user has.")
