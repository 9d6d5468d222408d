"""Why something was refused: the rule, what it looked at as far as the caller may see it, and what would help."""

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers


class LookedSerializer(serializers.Serializer):
    kind = serializers.CharField(help_text=_("Host, vm, job …; empty for what is no object."))
    id = serializers.CharField()
    name = serializers.CharField()
    rule = serializers.CharField()
    detail = serializers.CharField()


class CountSerializer(serializers.Serializer):
    kind = serializers.CharField()
    rule = serializers.CharField()
    count = serializers.IntegerField()
    text = serializers.CharField(help_text=_("The same in words that name nothing."))


class WhySerializer(serializers.Serializer):
    rule = serializers.CharField(required=False, help_text=_("The rule that refused, as a stable name."))
    looked_at = LookedSerializer(many=True, required=False, help_text=_("At most twenty are named."))
    counts = CountSerializer(many=True, required=False, help_text=_("How many failed each rule, seen or not."))
    helps = serializers.ListField(child=serializers.CharField(), required=False)


class RefusalSerializer(serializers.Serializer):
    rule = serializers.CharField()
    detail = serializers.CharField()


class LineSerializer(serializers.Serializer):
    id = serializers.CharField()
    name = serializers.CharField()
    note = serializers.CharField()
    fits = serializers.BooleanField()
    refusals = RefusalSerializer(many=True)


class TableSerializer(serializers.Serializer):
    kind = serializers.CharField()
    rules = serializers.ListField(child=serializers.CharField())
    total = serializers.IntegerField(help_text=_("How many were looked at; fewer may be named."))
    counts = CountSerializer(many=True)
    rows = LineSerializer(many=True)


class ExplainedSerializer(serializers.Serializer):
    """The answer of a dry run."""

    works = serializers.BooleanField()
    text = serializers.CharField(help_text=_("What would happen, or what refuses it."))
    fix = serializers.CharField()
    why = WhySerializer(allow_null=True)
    tables = TableSerializer(many=True)
