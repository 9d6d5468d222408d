"""Dry runs: why somebody would get no desktop, why a machine would not start."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.virt.explain import explain_start
from broker.virt.models import VirtualMachine
from pools.explain import explain_allocation
from pools.models import Pool
from portal.api.base import Door
from portal.api.serializers.why import ExplainedSerializer
from portal.explained import explained


class ExplainAllocation(Door):
    """What Connect would come to."""

    query_parameters = frozenset({"user"})

    @extend_schema(
        operation_id="pools_explain",
        parameters=[OpenApiParameter("user", str, required=True, description="The id of the user.")],
        responses=ExplainedSerializer,
    )
    def get(self, request: Request, pk: Any) -> Response:
        """Why a user would, or would not, get a desktop of the pool now. Nothing is given."""
        pool = find(self.actor, Pool, pk, "pool.manage")
        if not (asked := request.query_params.get("user")):
            raise Invalid(N_("It is not said for whom."), field="user", fix=N_("Add ?user= and the id of a user."))
        user = find(self.actor, User, asked)
        answer = explain_allocation(actor=self.actor, pool=pool, user=user)
        return Response(explained(self.actor, answer).as_dict())


class ExplainStart(Door):
    """What a start would come to."""

    @extend_schema(operation_id="vms_explain_start", responses=ExplainedSerializer)
    def get(self, request: Request, pk: Any) -> Response:
        """Why the machine would, or would not, start now, and what each rule says of each host. Nothing is started."""
        vm = find(self.actor, VirtualMachine, pk, "vm.edit")
        return Response(explained(self.actor, explain_start(actor=self.actor, vm=vm)).as_dict())
