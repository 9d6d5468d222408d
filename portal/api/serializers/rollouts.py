"""How far a pool's going over to another template version is."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from pools.states import RolloutState
from pools.updates import Progress

from .common import CauseSerializer, RefSerializer, cause


class RolloutSerializer(serializers.Serializer):
    """The numbers are of desktops. `stopped_by`: why it stopped by itself, null when a person stopped it."""

    state = serializers.ChoiceField(choices=[str(state) for state in RolloutState], source="rollout.state")
    version = RefSerializer(source="rollout.version", allow_null=True)
    previous = RefSerializer(source="rollout.previous", allow_null=True)
    at_once = serializers.IntegerField(source="rollout.at_once")
    started_at = serializers.DateTimeField(source="rollout.started_at")
    total = serializers.IntegerField()
    done = serializers.IntegerField(help_text="Of the new version.")
    old = serializers.IntegerField(help_text="Still of another one; the following say what they wait for.")
    working = serializers.IntegerField(help_text="Being rebuilt.")
    free = serializers.IntegerField(help_text="Rebuilt next.")
    held = serializers.IntegerField(help_text="Wait until they are given back.")
    kept = serializers.IntegerField(help_text="Hold data; wait until somebody says that it may go.")
    broken = serializers.IntegerField(help_text="Wait to be reset.")
    stopped_by = serializers.SerializerMethodField()

    @extend_schema_field(CauseSerializer(allow_null=True))
    def get_stopped_by(self, progress: Progress) -> dict[str, Any] | None:
        return cause(progress.rollout.cause)
