"""How a pool keeps desktops ready: times of the week, what counts now, the forecast, and places in the queue."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from pools.models import Pool
from pools.models.pool import LARGEST
from portal.api.fields import Input, Switch, TextField, WholeNumber

from .common import RefSerializer

TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z"


class HoursSerializer(Input):
    """A run of local time on certain weekdays. An end that is not after the start is on the next day."""

    days = serializers.ListField(
        child=WholeNumber(min_value=0, max_value=6), min_length=1, max_length=7, help_text="0 is Monday."
    )
    start = serializers.RegexField(TIME, trim_whitespace=False)
    end = serializers.RegexField(TIME, trim_whitespace=False)
    zone = TextField(max_length=64, required=False, help_text="IANA name; by default UTC.")


class RuleSerializer(HoursSerializer):
    """Other numbers during that time; of several rules the largest number wins. Null leaves the pool's own."""

    size = WholeNumber(required=False, allow_null=True, min_value=0, max_value=LARGEST)
    prestarted = WholeNumber(required=False, allow_null=True, min_value=0, max_value=LARGEST)
    suspended = WholeNumber(required=False, allow_null=True, min_value=0, max_value=LARGEST)


class ReadinessInput(Input):
    """What a pool may be told about keeping ready."""

    suspended = WholeNumber(
        required=False,
        min_value=0,
        max_value=LARGEST,
        help_text="Free desktops suspended to disk besides.",
    )
    zone = TextField(max_length=64, required=False, help_text="IANA name: whose hours the forecast goes by.")
    schedule = RuleSerializer(many=True, required=False)
    hours = HoursSerializer(many=True, required=False, help_text="When desktops are handed out; empty: always.")
    after_hours = serializers.ChoiceField(choices=Pool.AfterHours.choices, required=False)
    forecast = Switch(required=False, help_text="Keep as many running as the last weeks let expect.")
    protected = Switch(required=False, help_text="Refuse to delete it.")


class TargetSerializer(serializers.Serializer):
    """What counts now when it is not the pool's own numbers, and why."""

    size = serializers.IntegerField()
    prestarted = serializers.IntegerField()
    suspended = serializers.IntegerField()
    scheduled = serializers.BooleanField(help_text="A rule of the schedule counts now.")
    foreseen = serializers.IntegerField(allow_null=True, help_text="How many are expected to be in use.")


class CellSerializer(serializers.Serializer):
    expected = serializers.IntegerField(help_text="How many desktops are expected to be in use at once.")
    samples = serializers.IntegerField()
    basis = serializers.ChoiceField(choices=["hour", "similar days", "all days", "nothing"])


class ForecastSerializer(serializers.Serializer):
    """Seven days of 24 hours each, Monday first, as clocks in `zone` show them."""

    made_at = serializers.DateTimeField()
    zone = serializers.CharField()
    weeks = serializers.IntegerField(help_text="How many full weeks it was made from.")
    on = serializers.BooleanField(source="pool.forecast", help_text="Whether the pool goes by it.")
    days = serializers.SerializerMethodField()

    @extend_schema_field(serializers.ListField(child=CellSerializer(many=True)))
    def get_days(self, row: Any) -> list[list[dict[str, Any]]]:
        return [[dict(zip(("expected", "samples", "basis"), cell, strict=True)) for cell in day] for day in row.cells]


class PlaceSerializer(serializers.Serializer):
    """A place in the queue. It is kept by asking again, at least every minute."""

    state = serializers.CharField(default="waiting", read_only=True)
    pool = RefSerializer()
    position = serializers.IntegerField(help_text="1 is next.")
    waiting = serializers.IntegerField(help_text="How many wait.")
    since = serializers.DateTimeField()
    seconds = serializers.IntegerField(allow_null=True, help_text="Until a desktop may be expected; null: unknown.")
