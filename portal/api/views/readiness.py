"""Taking a desktop or waiting for one, and what a pool expects: calls of the pools' resource."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find, may
from broker.core.errors import Missing
from broker.core.text import gettext_noop as N_
from pools.actions.allocate import allocate
from pools.actions.join_queue import join_queue
from pools.actions.leave_queue import leave_queue
from pools.bringing_up import Allocation
from pools.models import Pool, PoolForecast
from pools.queue import Place
from pools.taking import take_or_wait
from portal.api.base import Resource
from portal.api.serializers.pools import AllocationSerializer
from portal.api.serializers.readiness import ForecastSerializer, PlaceSerializer

ANSWERS = {200: AllocationSerializer, 202: PlaceSerializer}


class Ready(Resource):
    """The calls about being ready; mixed into the pools."""

    @extend_schema(request=None, responses=ANSWERS)
    @action(detail=True, methods=["post"], url_path="take", url_name="take")
    def take(self, request: Request, pk: Any) -> Response:
        """Get a desktop: one that runs at once, else one that is being started; 202 with a place in the queue if none
        is free. Ask again to keep the place, until a desktop comes.
        """
        self.nothing()
        return answer(take_or_wait(allocate, actor=self.actor, pool=find(self.actor, Pool, pk, "pool.use")))

    @extend_schema(request=None, responses=ANSWERS)
    @action(detail=True, methods=["post"], url_path="wait", url_name="wait")
    def wait(self, request: Request, pk: Any) -> Response:
        """Wait for a desktop even when one is free; ask again to keep the place, until one comes."""
        self.nothing()
        return answer(join_queue(actor=self.actor, pool=find(self.actor, Pool, pk, "pool.use")))

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], url_path="leave", url_name="leave")
    def leave(self, request: Request, pk: Any) -> Response:
        """Wait no longer; a desktop that came and was not fetched yet goes back."""
        self.nothing()
        leave_queue(actor=self.actor, pool=find(self.actor, Pool, pk, "pool.use"))
        return Response(status=204)

    @extend_schema(responses=ForecastSerializer)
    @action(detail=True, methods=["get"], url_path="forecast", url_name="forecast")
    def forecast(self, request: Request, pk: Any) -> Response:
        """How many desktops are expected to be in use, by weekday and hour, for who manages the pool or reads all."""
        pool = find(self.actor, Pool, pk, "pool.view" if may(self.actor, "system.view") else "pool.manage")
        row = PoolForecast.objects.filter(pool=pool).select_related("pool").first()
        if row is None:
            raise Missing(N_("There is no forecast of this pool yet."), fix=N_("Come back in some minutes."))
        return Response(ForecastSerializer(row).data)


def answer(found: Allocation | Place) -> Response:
    if isinstance(found, Place):
        return Response(PlaceSerializer(found).data, status=202)
    return Response(AllocationSerializer(found).data)
