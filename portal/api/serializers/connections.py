"""Console tickets and sessions."""

from rest_framework import serializers

from broker.connections.models import Session

from .common import RefSerializer


class TicketSerializer(serializers.Serializer):
    """Shown once. `subprotocols` goes to `new WebSocket(url, subprotocols)`, never into an address."""

    id = serializers.UUIDField()
    subprotocols = serializers.ListField(child=serializers.CharField())
    seconds = serializers.IntegerField()
    kind = serializers.CharField()
    view_only = serializers.BooleanField()


class SessionSerializer(serializers.ModelSerializer):
    user = RefSerializer()
    vm = RefSerializer(allow_null=True)

    class Meta:
        model = Session
        fields = ("id", "user", "vm", "kind", "view_only", "state", "opened_at", "closed_at", "close_reason")
