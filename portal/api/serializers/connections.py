"""Console tickets and sessions."""

from rest_framework import serializers

from broker.connections.models import Help, Message, Session, Share

from .common import RefSerializer


class TicketSerializer(serializers.Serializer):
    """Shown once. `subprotocols` goes to `new WebSocket(url, subprotocols)`, never into an address."""

    id = serializers.UUIDField()
    subprotocols = serializers.ListField(child=serializers.CharField())
    seconds = serializers.IntegerField()
    kind = serializers.CharField()
    view_only = serializers.BooleanField()
    recorded = serializers.BooleanField()


class SessionSerializer(serializers.ModelSerializer):
    user = RefSerializer()
    vm = RefSerializer(allow_null=True)

    class Meta:
        model = Session
        fields = (
            "id", "user", "vm", "kind", "via", "purpose", "view_only", "address", "state", "opened_at", "last_input_at",
            "closed_at", "close_reason",
        )  # fmt: skip


class HelpSerializer(serializers.ModelSerializer):
    vm = RefSerializer()
    helper = RefSerializer()
    asked_of = RefSerializer()

    class Meta:
        model = Help
        fields = ("id", "vm", "helper", "asked_of", "level", "state", "asked_at", "answered_at", "ended_at")


class ShareSerializer(serializers.ModelSerializer):
    vm = RefSerializer()
    owner = RefSerializer()

    class Meta:
        model = Share
        fields = ("id", "vm", "owner", "level", "everybody", "created_at", "expires_at", "ended_at")


class NewShareSerializer(serializers.Serializer):
    """`secret` is told once: it goes behind the # of /shared/, or to shares/open/."""

    share = ShareSerializer()
    secret = serializers.CharField()


class MessageSerializer(serializers.ModelSerializer):
    vm = RefSerializer()
    user = RefSerializer()

    class Meta:
        model = Message
        fields = ("id", "vm", "user", "by", "text", "sent_at", "read_at")
