"""Quotas, and what somebody may do and why."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.actions.create_quota import create_quota
from broker.access.actions.delete_quota import delete_quota
from broker.access.actions.edit_quota import edit_quota
from broker.access.kinds import GRANTABLE
from broker.access.models import Quota
from broker.access.queries import quotas
from broker.access.quota_values import LONGEST_GRACE, MOST
from broker.access.require import find
from broker.access.usage import uses
from broker.directories.models import Group, User
from broker.virt.models import Cluster
from portal.api.base import Door, Listed, Read, Resource
from portal.api.fields import Id, Input, Switch, WholeNumber
from portal.api.queries import choices
from portal.api.serializers.access import QuotaSerializer, RightsSerializer
from portal.rights import asked_object, rights_of


class Limit(WholeNumber):
    """A limit; null takes it away."""

    def __init__(self, **kwargs: Any):
        super().__init__(min_value=0, max_value=MOST, required=False, allow_null=True, **kwargs)


class ChangedQuota(Input):
    mode = serializers.ChoiceField(choices=Quota.Mode.choices, required=False)
    vcpus = Limit()
    memory_mib = Limit()
    disk_gib = Limit()
    machines = Limit()
    running = Limit()
    threshold_percent = WholeNumber(min_value=0, max_value=100, required=False)
    grace_percent = WholeNumber(min_value=0, max_value=1000, required=False)
    grace_hours = WholeNumber(
        min_value=1, max_value=LONGEST_GRACE, required=False, allow_null=True,
        help_text="How long at a stretch one may be over a limit, up to grace_percent; null: for good.",
    )  # fmt: skip


class NewQuota(ChangedQuota):
    """At most one of `user` and `group`. With `cluster` it counts there alone, or is the cluster's own."""

    user = Id(required=False, allow_null=True)
    group = Id(required=False, allow_null=True)
    cluster = Id(required=False, allow_null=True)
    each = Switch(required=False, help_text="Of a group: the limits are for every member by themselves.")


class QuotaFilter(filters.FilterSet):
    user = filters.UUIDFilter(field_name="user_id")
    group = filters.UUIDFilter(field_name="group_id")
    cluster = filters.UUIDFilter(field_name="cluster_id")
    mode = choices(Quota.Mode.values)


class Quotas(Listed, Read, Resource):
    """The most that users, groups and clusters may use, and what they use. Everybody sees their own."""

    serializer_class = QuotaSerializer
    filterset_class = QuotaFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "mode")

    def rows(self) -> QuerySet[Quota]:
        return Quota.objects.select_related("user", "group", "cluster")

    def visible(self, rows: QuerySet[Quota]) -> QuerySet[Quota]:
        return quotas(self.actor)

    def get_serializer_context(self) -> dict[str, Any]:
        return {**super().get_serializer_context(), "uses": getattr(self, "_uses", {})}

    def list(self, request: Request) -> Response:
        page = self.paginate_queryset(self.filter_queryset(self.get_queryset())) or []
        self._uses = uses(page)
        answer: Response = self.get_paginated_response(self.get_serializer(page, many=True).data)
        return answer

    def retrieve(self, request: Request, pk: Any) -> Response:
        quota = self.find()
        self._uses = uses([quota])
        return super().retrieve(request, pk)

    @extend_schema(request=NewQuota, responses={201: QuotaSerializer})
    def create(self, request: Request) -> Response:
        """Limit a user, a group or a cluster. Whoever uses more already keeps what they have."""
        given = self.input(NewQuota)
        for name, model in (("user", User), ("group", Group), ("cluster", Cluster)):
            given[name] = find(self.actor, model, given[name]) if given.get(name) else None  # type: ignore[type-var]
        return self._answer(create_quota(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedQuota, responses=QuotaSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change limits and mode."""
        return self._answer(edit_quota(actor=self.actor, quota=self.find(), **self.input(ChangedQuota)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Limit them no more."""
        self.nothing()
        delete_quota(actor=self.actor, quota=self.find())
        return Response(status=204)

    def _answer(self, quota: Quota, *, status: int = 200) -> Response:
        self._uses = uses([quota])
        return self.shown(quota, status=status)


class Rights(Door):
    """What a user may do here, and why."""

    query_parameters = frozenset({"object_kind", "object_id"})

    @extend_schema(
        parameters=[
            OpenApiParameter("object_kind", OpenApiTypes.STR, enum=list(GRANTABLE)),
            OpenApiParameter("object_id", OpenApiTypes.UUID),
        ],
        responses=RightsSerializer,
    )
    def get(self, request: Request, pk: Any) -> Response:
        """Every right with yes or no and where it comes from; the quotas that count, and the pools and desktops.

        Everybody may ask about themselves; about others, who may see people. What you may not see has no name.
        """
        user = find(self.actor, User, pk)
        obj = asked_object(self.actor, request.query_params.get("object_kind"), request.query_params.get("object_id"))
        return Response(RightsSerializer(rights_of(self.actor, user, obj)).data)
