"""Parts that several answers share."""

from typing import Any, cast

from rest_framework import serializers

from broker.access.actor import Actor
from broker.core.errors import BerthError
from portal.middleware import sentence
from portal.why import Sight


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
    rule = serializers.CharField(help_text="The rule that refused, as a stable name.")


def cause(error: dict[str, Any] | None, sight: Sight | None = None) -> dict[str, str] | None:
    """A stored error (BerthError.as_dict) in the reader's language; with `sight`, as that reader may know it."""
    if not error:
        return None
    params = error.get("params") or {}
    message, fix = sentence(error.get("message", ""), params), sentence(error.get("fix", ""), params)
    if sight is not None:
        message, fix = sight.sentences(error)
    code = str(error.get("code") or BerthError.code)
    return {"code": code, "message": message, "fix": fix, "rule": str(error.get("rule") or code)}


def sight_of(serializer: serializers.BaseSerializer) -> Sight:
    """What the caller may be told, shared by all rows of one answer."""
    context = cast("dict[str, Any]", serializer.context)
    if "sight" not in context:
        view = context.get("view")
        context["sight"] = Sight(getattr(view, "actor", None) or Actor(user=None, name="anonymous"), ())
    sight: Sight = context["sight"]
    return sight
