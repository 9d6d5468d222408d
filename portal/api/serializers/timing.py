"""How long people waited for a desktop of a pool."""

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from pools.time_to_desktop import Phase, Summary


class PhaseSerializer(serializers.Serializer):
    phase = serializers.CharField(help_text=_("sign_in, allocation, start, boot, agent, picture, or total."))
    count = serializers.IntegerField()
    p50 = serializers.FloatField(allow_null=True)
    p90 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)
    p99 = serializers.FloatField(allow_null=True)


class PointSerializer(serializers.Serializer):
    at = serializers.DateTimeField()
    p50 = serializers.FloatField(allow_null=True)
    p95 = serializers.FloatField(allow_null=True)


class TimeToDesktopSerializer(serializers.Serializer):
    """All times in seconds."""

    days = serializers.IntegerField()
    count = serializers.IntegerField(help_text=_("How many people's waits were measured."))
    goal = serializers.IntegerField(allow_null=True)
    within_goal = serializers.FloatField(allow_null=True, help_text=_("Share of waits within the goal, 0 to 1."))
    slowest = serializers.CharField(help_text=_("The phase with the highest 95th percentile; empty without any."))
    phases = PhaseSerializer(many=True)
    points = PointSerializer(many=True)


def as_data(found: Summary) -> dict[str, Any]:
    return {
        "days": found.days,
        "count": found.count,
        "goal": found.goal,
        "within_goal": found.within,
        "slowest": found.slowest,
        "phases": [_phase(phase) for phase in found.phases],
        "points": [{"at": one.at, "p50": _seconds(one.median), "p95": _seconds(one.p95)} for one in found.points],
    }


def _phase(phase: Phase) -> dict[str, Any]:
    times = {f"p{share}": _seconds(phase.percentiles.get(share)) for share in (50, 90, 95, 99)}
    return {"phase": phase.name, "count": phase.count, **times}


def _seconds(took: int | None) -> float | None:
    return None if took is None else took / 1000
