"""Bookings, the rules of a pool about them, and when desktops are free."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from pools.models import Booking, BookingRules

from .common import RefSerializer


class BookingSerializer(serializers.ModelSerializer):
    """`user` is null for a time that is blocked. `reason`: why it is blocked or was cancelled."""

    user = RefSerializer(allow_null=True)
    desktop = serializers.CharField(source="desktop_name", help_text="The name of the one that its user got.")
    kind = serializers.CharField(help_text="booked, walk-in or block.")
    state = serializers.CharField(help_text="booked, taken, over, lapsed or cancelled.")

    class Meta:
        model = Booking
        fields = ("id", "kind", "state", "user", "start", "end", "desktop", "by", "reason", "created_at")


class BookingRulesSerializer(serializers.ModelSerializer):
    """Times in minutes, `ahead` in days."""

    booked = serializers.SerializerMethodField(help_text="Whether desktops are booked at all.")

    class Meta:
        model = BookingRules
        fields = (
            "booked", "shortest", "longest", "ahead", "per_person", "grace", "cancel_until", "capacity", "walk_in",
            "zone",
        )  # fmt: skip

    @extend_schema_field(serializers.BooleanField)
    def get_booked(self, rules: BookingRules) -> Any:
        return rules.pool.booked


class FreeTimeSerializer(serializers.Serializer):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    free = serializers.IntegerField(help_text="So many desktops can be booked for all of that time; 0: none.")


class FreeTimesSerializer(serializers.Serializer):
    """`next_free`: when the shortest time that can be booked is free next; null: not within the days ahead."""

    capacity = serializers.IntegerField()
    next_free = serializers.DateTimeField(allow_null=True)
    times = FreeTimeSerializer(many=True)
