"""Recordings of consoles."""

from rest_framework import serializers

from broker.connections.models import Recording

from .common import RefSerializer


class RecordingSerializer(serializers.ModelSerializer):
    """`user` and `vm` are null when they are gone; their names stay. `why` it ended is empty while it goes on."""

    user = RefSerializer(allow_null=True)
    vm = RefSerializer(allow_null=True)

    class Meta:
        model = Recording
        fields = (
            "id", "user", "user_name", "vm", "vm_name", "kind", "session", "began_at", "ended_at", "size_bytes", "why",
        )  # fmt: skip
