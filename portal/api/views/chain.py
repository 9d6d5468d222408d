"""The chain of events: what verifying it came to, and verifying it now."""

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.actions.verify_events import verify_events
from broker.access.require import may
from broker.events.checking import the_check
from broker.events.models import ChainCheck
from portal.api.base import Door
from portal.api.fields import Empty


class ChainSerializer(serializers.ModelSerializer):
    """`problem`: empty when all is well, else changed, resealed or cut; `position` is then the last good one."""

    class Meta:
        model = ChainCheck
        fields = (
            "asked", "under_way", "began_at", "ended_at", "problem", "position", "wrong_id", "wrong_kind",
            "good_position", "good_digest",
        )  # fmt: skip


class Chain(Door):
    """Whether events were changed or removed."""

    @extend_schema(operation_id="events_chain", responses=ChainSerializer)
    def get(self, request: Request) -> Response:
        """What the last pass over all events came to; for who may not read all events, nothing."""
        row = the_check() if may(self.actor, "event.view") else ChainCheck()
        return Response(ChainSerializer(row).data)


class VerifyChain(Door):
    """Verifying it now."""

    @extend_schema(operation_id="events_verify", request=None, responses={202: ChainSerializer})
    def post(self, request: Request) -> Response:
        """Have all events verified; GET …/chain/ says what came of it."""
        Empty(data=request.data).is_valid(raise_exception=True)
        return Response(ChainSerializer(verify_events(actor=self.actor)).data, status=202)
