"""Time to desktop: what was measured of a pool, and its goal."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from pools.actions.set_goal import set_goal
from pools.models import Pool
from pools.models.goal import LONGEST_GOAL
from pools.time_to_desktop import DAYS, summary
from portal.api.base import Door
from portal.api.fields import Input, WholeNumber
from portal.api.serializers.timing import TimeToDesktopSerializer, as_data


class Goal(Input):
    seconds = WholeNumber(min_value=1, max_value=LONGEST_GOAL, allow_null=True, help_text="null: no goal.")


class TimeToDesktop(Door):
    """How long people waited."""

    query_parameters = frozenset({"days"})

    @extend_schema(
        operation_id="pools_time_to_desktop",
        parameters=[
            OpenApiParameter("days", int, enum=list(DAYS), description="The last so many days; 7 if not given.")
        ],
        responses=TimeToDesktopSerializer,
    )
    def get(self, request: Request, pk: Any) -> Response:
        """Percentiles by phase, the slowest phase, and the share within the goal."""
        pool = find(self.actor, Pool, pk)
        asked = request.query_params.get("days", "7")
        if asked not in {str(one) for one in DAYS}:
            raise Invalid(
                N_("That many days are not kept together."), field="days", fix=N_("Use one of %(days)s."),
                days=", ".join(map(str, DAYS)),
            )  # fmt: skip
        return Response(as_data(summary(pool, days=int(asked))))


class SetGoal(Door):
    """The line that is aimed at."""

    @extend_schema(operation_id="pools_set_goal", request=Goal, responses=TimeToDesktopSerializer)
    def post(self, request: Request, pk: Any) -> Response:
        """Say within how many seconds people are to have their desktop."""
        pool = find(self.actor, Pool, pk)
        body = Goal(data=request.data)
        body.is_valid(raise_exception=True)
        set_goal(actor=self.actor, pool=pool, seconds=body.validated_data["seconds"])
        return Response(as_data(summary(pool)))
