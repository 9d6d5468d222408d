"""Console tickets and sessions."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from broker.connections.models import Help, Message, Session, Share, SignOn

from .common import CauseSerializer, RefSerializer, cause


class TicketSerializer(serializers.Serializer):
    """Shown once. `subprotocols` goes to `new WebSocket(url, subprotocols)`, never into an address."""

    id = serializers.UUIDField()
    subprotocols = serializers.ListField(child=serializers.CharField())
    seconds = serializers.IntegerField()
    kind = serializers.CharField()
    view_only = serializers.BooleanField()
    recorded = serializers.BooleanField()


class SignOnSerializer(serializers.ModelSerializer):
    """`outcome` is empty while it goes on; `error` says why it failed and what would help."""

    error = serializers.SerializerMethodField()

    class Meta:
        model = SignOn
        fields = ("account", "outcome", "asked_at", "ended_at", "error")

    @extend_schema_field(CauseSerializer(allow_null=True))
    def get_error(self, row: SignOn) -> dict[str, Any] | None:
        return cause(row.error) if row.error else None


class SessionSerializer(serializers.ModelSerializer):
    user = RefSerializer()
    vm = RefSerializer(allow_null=True)
    sign_on = serializers.SerializerMethodField(help_text="In the guest; null where nobody was to be signed on.")

    @extend_schema_field(SignOnSerializer(allow_null=True))
    def get_sign_on(self, session: Session) -> dict[str, Any] | None:
        row = getattr(session, "sign_on", None)
        return SignOnSerializer(row).data if row is not None else None

    class Meta:
        model = Session
        fields = (
            "id", "user", "vm", "kind", "via", "purpose", "view_only", "address", "state", "opened_at", "last_input_at",
            "closed_at", "close_reason", "sign_on",
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
