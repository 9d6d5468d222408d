"""Meta-pools: several pools that users see as one, taking a desktop through one, and who is entitled."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find, visible_to
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from pools.actions.allocate_meta import allocate_meta
from pools.actions.create_meta_pool import create_meta_pool
from pools.actions.delete_meta_pool import delete_meta_pool
from pools.actions.edit_meta_pool import edit_meta_pool
from pools.actions.leave_meta_queue import leave_meta_queue
from pools.explain_meta import explain_meta_allocation
from pools.meta_taking import take_or_wait_meta
from pools.models import MetaMember, MetaPool, Pool
from pools.models.meta_pool import MOST_MEMBERS
from pools.queue import Place
from portal.api.base import Door, Listed, Read, Resource
from portal.api.fields import Id, Input, LongTextField, NameField, TextField, WholeNumber
from portal.api.queries import Search
from portal.api.serializers.meta_pools import MetaAllocationSerializer, MetaPoolSerializer
from portal.api.serializers.readiness import PlaceSerializer
from portal.api.serializers.why import ExplainedSerializer
from portal.explained import explained
from portal.why import Sight

from .pools import Entitlements


class MetaPoolShape(Input):
    title = TextField(required=False, allow_blank=True)
    description = LongTextField(required=False, allow_blank=True)
    policy = TextField(max_length=12, required=False, help_text="priority, even or most-free.")
    max_per_user = WholeNumber(
        required=False, min_value=1, max_value=100, help_text="Most desktops for one user, of all its pools together."
    )


class ChangedMetaPool(MetaPoolShape):
    pools = serializers.ListField(
        child=Id(), required=False, max_length=MOST_MEMBERS, help_text="All of them, in their order."
    )
    revision = WholeNumber(
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        help_text="The one you saw: refuses to overwrite a newer edit.",
    )


class NewMetaPool(MetaPoolShape):
    name = NameField(max_length=40)
    pools = serializers.ListField(child=Id(), max_length=MOST_MEMBERS, help_text="In the order in which they serve.")


class MetaPoolFilter(filters.FilterSet):
    search = Search("name", "title")


class MetaPools(Listed, Read, Resource):
    """Several pools that users see as one."""

    serializer_class = MetaPoolSerializer
    filterset_class = MetaPoolFilter
    ordering = ("title",)
    ordering_fields = ("name", "title", "created_at")

    def rows(self) -> QuerySet[MetaPool]:
        members = MetaMember.objects.select_related("pool").order_by("position", "pk")
        return MetaPool.objects.prefetch_related(Prefetch("members", members))

    def seen(self) -> set[UUID]:
        """The pools that the caller may see."""
        return self._seen

    @cached_property
    def _seen(self) -> set[UUID]:
        return set(visible_to(self.actor, Pool).filter(memberships__isnull=False).values_list("pk", flat=True))

    def _pools(self, given: dict[str, Any]) -> dict[str, Any]:
        if "pools" in given:
            given["pools"] = [find(self.actor, Pool, pk) for pk in given["pools"]]
        return given

    @extend_schema(request=NewMetaPool, responses={201: MetaPoolSerializer})
    def create(self, request: Request) -> Response:
        """Make a meta-pool of pools that you manage."""
        return self.shown(create_meta_pool(actor=self.actor, **self._pools(self.input(NewMetaPool))), status=201)

    @extend_schema(request=ChangedMetaPool, responses=MetaPoolSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change it; nobody loses a desktop."""
        given = self._pools(self.input(ChangedMetaPool))
        return self.shown(edit_meta_pool(actor=self.actor, meta=self.find(), **given))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove it; its pools and all desktops stay."""
        self.nothing()
        delete_meta_pool(actor=self.actor, meta=self.find())
        return Response(status=204)

    @extend_schema(request=None, responses={200: MetaAllocationSerializer, 202: PlaceSerializer})
    @action(detail=True, methods=["post"], url_path="take", url_name="take")
    def take(self, request: Request, pk: Any) -> Response:
        """Get a desktop of one of its pools; 202 with a place in the queue of one of them if none is free. Ask again
        to keep the place: each time all pools are asked.
        """
        self.nothing()
        meta = find(self.actor, MetaPool, pk, "meta-pool.use")
        found = take_or_wait_meta(allocate_meta, actor=self.actor, meta=meta)
        if isinstance(found, Place):
            return Response(PlaceSerializer(found).data, status=202)
        why = Sight(self.actor, [found.why]).why(found.why)
        told = {"allocation": found.allocation, "why": why.as_dict() if why else None}
        return Response(MetaAllocationSerializer(told).data)

    @extend_schema(request=None, responses={204: None})
    @action(detail=True, methods=["post"], url_path="leave", url_name="leave")
    def leave(self, request: Request, pk: Any) -> Response:
        """Wait no longer; a desktop that came and was not fetched yet goes back."""
        self.nothing()
        leave_meta_queue(actor=self.actor, meta=find(self.actor, MetaPool, pk, "meta-pool.use"))
        return Response(status=204)


class MetaEntitlements(Entitlements):
    """Who may take desktops through a meta-pool."""

    model = MetaPool


class ExplainMetaAllocation(Door):
    """What Connect on a meta-pool would come to."""

    query_parameters = frozenset({"user"})

    @extend_schema(
        operation_id="meta_pools_explain",
        parameters=[OpenApiParameter("user", str, required=True, description="The id of the user.")],
        responses=ExplainedSerializer,
    )
    def get(self, request: Request, pk: Any) -> Response:
        """Of which pool a user would get a desktop now, and what each of the others says. Nothing is given."""
        meta = find(self.actor, MetaPool, pk, "meta-pool.manage")
        if not (asked := request.query_params.get("user")):
            raise Invalid(N_("It is not said for whom."), field="user", fix=N_("Add ?user= and the id of a user."))
        answer = explain_meta_allocation(actor=self.actor, meta=meta, user=find(self.actor, User, asked))
        return Response(explained(self.actor, answer).as_dict())
