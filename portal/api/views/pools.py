"""Pools, their desktops, and who is entitled."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django_filters import rest_framework as filters

from broker.access.require import visible_to
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from pools.models import Desktop, Pool
from pools.states import DESKTOP, DesktopState, PoolState
from portal.api.active import with_active_job
from portal.api.base import Listed, Read, Resource
from portal.api.queries import Search, choices
from portal.api.serializers.pools import DesktopSerializer, PoolSerializer


class PoolFilter(filters.FilterSet):
    state = choices(PoolState)
    kind = choices(Pool.Kind.values)
    cluster = filters.UUIDFilter(field_name="cluster_id")
    template = filters.UUIDFilter(field_name="template_id")
    search = Search("name", "title")


class Pools(Listed, Read, Resource):
    """Like desktops, and how many of them are there."""

    serializer_class = PoolSerializer
    filterset_class = PoolFilter
    ordering = ("title",)
    ordering_fields = ("name", "title", "size", "state", "created_at")

    def rows(self) -> QuerySet[Pool]:
        counted = Q(desktops__state__in=sorted(DESKTOP.sets["counted"]))
        return Pool.objects.select_related("cluster", "template", "version__template", "storage", "network").annotate(
            desktop_count=Count("desktops", filter=counted),
            free_count=Count("desktops", filter=Q(desktops__state=DesktopState.FREE)),
            assigned_count=Count("desktops", filter=Q(desktops__state=DesktopState.ASSIGNED)),
        )

    def managed(self) -> set[UUID]:
        """The pools whose alerts the actor is told."""
        return self._managed

    @cached_property
    def _managed(self) -> set[UUID]:
        return set(visible_to(self.actor, Pool, "pool.manage").values_list("pk", flat=True))


class DesktopFilter(filters.FilterSet):
    pool = filters.UUIDFilter(field_name="pool_id")
    state = choices(DesktopState)
    power_state = filters.ChoiceFilter(field_name="vm__power_state", choices=[(str(s), str(s)) for s in PowerState])
    holder = filters.UUIDFilter(field_name="holder_id")
    mine = filters.BooleanFilter(method="by_mine")
    search = Search("vm__name", "vm__title")

    def by_mine(self, rows: QuerySet[Desktop], name: str, value: bool) -> QuerySet[Desktop]:
        mine = Q(holder=self.request.user)
        return rows.filter(mine) if value else rows.exclude(mine)


class Desktops(Listed, Read, Resource):
    """Machines that are seats of a pool: one's own, and those one may look at."""

    serializer_class = DesktopSerializer
    filterset_class = DesktopFilter
    ordering = ("pool__title", "number")
    ordering_fields = ("number", "state", "held_since", "changed_at")

    def rows(self) -> QuerySet[Any]:
        return with_active_job(Desktop.objects.select_related("vm", "pool", "holder"), "vm")

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(vm__in=visible_to(self.actor, VirtualMachine, "vm.view"))
