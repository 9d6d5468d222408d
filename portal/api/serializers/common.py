"""Parts that several answers share."""

from typing import Any

from rest_framework import serializers

from broker.core.errors import BerthError
from portal.middleware import sentence


class RefSerializer(serializers.Serializer):
    """Another object: enough to show and to follow it."""

    id = serializers.UUIDField(source="pk")
    name = serializers.CharField(source="__str__")


class SubjectSerializer(serializers.Serializer):
    """What a job or an event is about."""

    kind = serializers.CharField(source="subject_kind")
    id = serializers.UUIDField(source="subject_id", allow_null=True)
    name = serializers.CharField(source="subject_name")


class CauseSerializer(serializers.Serializer):
    """Why something did not work, and what would help."""

    code = serializers.CharField()
    message = serializers.CharField()
    fix = serializers.CharField()


def cause(error: dict[str, Any] | None) -> dict[str, str] | None:
    """A stored error (BerthError.as_dict) in the reader's language."""
    if not error:
        return None
    params = error.get("params") or {}
    return {
        "code": str(error.get("code") or BerthError.code),
        "message": sentence(error.get("message", ""), params),
        "fix": sentence(error.get("fix", ""), params),
    }
