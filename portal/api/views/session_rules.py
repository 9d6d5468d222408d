"""A pool's session rules, and one verb for several desktops."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from pools.actions.set_session_rules import set_session_rules
from pools.bulk import MOST, VERBS, act
from pools.models import Pool, SessionRules
from pools.models.session_rules import DO
from pools.session_sentence import sentence
from portal.api.base import Door
from portal.api.fields import Id, Input, TextField, WholeNumber
from portal.api.serializers.common import CauseSerializer, cause

_ACTS = [(act.value, label) for act, label in DO]
_LONGEST = 30 * 24 * 3600


def _seconds() -> WholeNumber:
    return WholeNumber(required=False, min_value=0, max_value=_LONGEST, help_text="Seconds.")


class ChangedRules(Input):
    leave = serializers.ChoiceField(choices=_ACTS, required=False)
    leave_after = _seconds()
    then = serializers.ChoiceField(choices=_ACTS, required=False)
    then_after = _seconds()
    logoff = serializers.ChoiceField(choices=_ACTS, required=False)
    logoff_after = _seconds()
    idle = serializers.ChoiceField(choices=_ACTS, required=False)
    idle_after = _seconds()
    longest = _seconds()
    longest_do = serializers.ChoiceField(choices=_ACTS, required=False)
    warn_before = _seconds()
    extension = _seconds()
    extensions = WholeNumber(required=False, min_value=0, max_value=100)
    kept = TextField(max_length=120, required=False, allow_blank=True)


class RulesSerializer(serializers.ModelSerializer):
    """`sentence` is what the users read, in the language of the call."""

    sentence = serializers.SerializerMethodField()

    class Meta:
        model = SessionRules
        fields = (
            "leave", "leave_after", "then", "then_after", "logoff", "logoff_after", "idle", "idle_after", "longest",
            "longest_do", "warn_before", "extension", "extensions", "kept", "sentence",
        )  # fmt: skip

    def get_sentence(self, rules: SessionRules) -> str:
        return sentence(rules.pool)


class Rules(Door):
    """What becomes of a pool's desktops when their users leave, fall silent, log out or stay too long."""

    @extend_schema(responses=RulesSerializer)
    def get(self, request: Request, pool_pk: Any) -> Response:
        """The rules; without any, those that do nothing."""
        pool = find(self.actor, Pool, pool_pk)
        rules = SessionRules.objects.select_related("pool").filter(pool=pool).first()
        return Response(RulesSerializer(rules or SessionRules(pool=pool)).data)

    @extend_schema(request=ChangedRules, responses=RulesSerializer)
    def patch(self, request: Request, pool_pk: Any) -> Response:
        """Change those that are given; they hold at once, also for who has a desktop now."""
        pool = find(self.actor, Pool, pool_pk)
        body = ChangedRules(data=request.data)
        body.is_valid(raise_exception=True)
        set_session_rules(actor=self.actor, pool=pool, **body.validated_data)
        return Response(RulesSerializer(SessionRules.objects.select_related("pool").get(pool=pool)).data)


class Several(Input):
    verb = serializers.ChoiceField(choices=list(VERBS))
    ids = serializers.ListField(child=Id(), min_length=1, max_length=MOST)
    text = TextField(max_length=500, required=False, allow_blank=True, help_text="Of a message.")


class OutcomeSerializer(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    accepted = serializers.BooleanField()
    error = CauseSerializer(allow_null=True)


class Bulk(Door):
    """One verb for several desktops; each is authorised by itself."""

    @extend_schema(request=Several, responses={200: OutcomeSerializer(many=True)})
    def post(self, request: Request) -> Response:
        """For each, whether it was accepted, or why not."""
        body = Several(data=request.data)
        body.is_valid(raise_exception=True)
        given = body.validated_data
        outcomes = act(actor=self.actor, verb=given["verb"], machines=given["ids"], text=given.get("text", ""))
        rows = [
            {
                "id": one.id,
                "name": one.name,
                "accepted": one.error is None,
                "error": cause(one.error.as_dict()) if one.error else None,
            }
            for one in outcomes
        ]
        return Response(OutcomeSerializer(rows, many=True).data)
