"""Subscriptions to events. The key of a webhook is never told."""

from typing import Any

from rest_framework import serializers

from broker.notifications.models import Subscription


class SubscriptionSerializer(serializers.ModelSerializer):
    owner = serializers.SerializerMethodField()
    kinds = serializers.ListField(child=serializers.CharField())
    signed = serializers.SerializerMethodField()

    class Meta:
        model = Subscription
        fields = (
            "id", "name", "owner", "way", "target", "kinds", "severity", "object_kind", "object_id", "signed",
            "enabled", "created_at", "cursor", "told_at", "failures", "error", "due_at", "test_asked",
        )  # fmt: skip

    def get_owner(self, row: Subscription) -> str | None:
        """null: it is the site's."""
        return row.owner.username if row.owner else None

    def get_signed(self, row: Any) -> bool:
        return bool(row.secret)
