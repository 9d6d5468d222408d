"""History of load of machines and hosts."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.loads.ranges import RANGES, points, range_called
from broker.virt.models import Host, VirtualMachine
from broker.virt.models.load import FIGURES
from portal.api.base import Door

ASKED = OpenApiParameter("range", str, enum=list(RANGES), description="How far back; a day if not given.")
POINT = inline_serializer(
    "LoadPoint",
    {"at": serializers.DateTimeField(), **{name: serializers.IntegerField(allow_null=True) for name in FIGURES}},
)
ANSWER = inline_serializer(
    "Loads",
    {
        "range": serializers.CharField(),
        "step_seconds": serializers.IntegerField(),
        "points": serializers.ListField(child=POINT),
    },
)


class _Loads(Door):
    query_parameters = frozenset({"range"})

    def answer(self, owner: VirtualMachine | Host) -> Response:
        asked = range_called(self.request.query_params.get("range", "day"))
        found = [{"at": at, **point} for at, point in points(owner, asked)]
        return Response({"range": asked.name, "step_seconds": int(asked.step.total_seconds()), "points": found})


class MachineLoads(_Loads):
    """What a machine used."""

    @extend_schema(operation_id="vms_loads", parameters=[ASKED], responses=ANSWER)
    def get(self, request: Request, pk: Any) -> Response:
        """Average and highest load by minute, hour or day, oldest first; unknown times are left out."""
        return self.answer(find(self.actor, VirtualMachine, pk))


class HostLoads(_Loads):
    """What a host's machines used together."""

    @extend_schema(operation_id="hosts_loads", parameters=[ASKED], responses=ANSWER)
    def get(self, request: Request, pk: Any) -> Response:
        """Average and highest load by minute, hour or day, oldest first; memory is what the whole host uses."""
        return self.answer(find(self.actor, Host, pk))
