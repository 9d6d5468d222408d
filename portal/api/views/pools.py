"""Pools, their desktops, and who is entitled."""

from functools import cached_property
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.models import Grant
from broker.access.require import find, may, require, visible_to
from broker.directories.models import Group, User
from broker.virt.driver import PowerState
from broker.virt.models import (
    Cluster,
    Network,
    PhysicalMachine,
    StorageDomain,
    TemplateVersion,
    VirtualMachine,
    VmTemplate,
)
from pools.actions.add_physical_machine import add_physical_machine
from pools.actions.assign import assign
from pools.actions.create_pool import create_pool
from pools.actions.delete_pool import delete_pool
from pools.actions.disentitle import disentitle
from pools.actions.edit_pool import edit_pool
from pools.actions.entitle import entitle
from pools.actions.extend_session import extend_session
from pools.actions.mend_desktop import mend_desktop
from pools.actions.release import release
from pools.actions.reset_desktop import reset_desktop
from pools.actions.retire_desktop import retire_desktop
from pools.models import Desktop, MetaPool, Pool
from pools.states import DESKTOP, DesktopState, PoolState
from pools.updates import waiting_number
from portal.api.active import with_active_job
from portal.api.base import Listed, Read, Resource, verb
from portal.api.fields import Id, Input, LongTextField, NameField, Switch, TextField, WholeNumber
from portal.api.queries import Search, choices
from portal.api.serializers.pools import DesktopSerializer, EntitlementSerializer, PoolSerializer
from portal.api.serializers.readiness import ReadinessInput
from portal.api.views.readiness import Ready
from portal.api.views.rollouts import Rolling, Updating


class PoolShape(ReadinessInput):
    title = TextField(required=False, allow_blank=True)
    description = LongTextField(required=False, allow_blank=True)
    kind = serializers.ChoiceField(choices=Pool.Kind.choices, required=False)
    stateful = Switch(required=False)
    size = WholeNumber(required=False, min_value=0, max_value=5000)
    prestarted = WholeNumber(required=False, min_value=0, max_value=5000)
    max_per_user = WholeNumber(required=False, min_value=1, max_value=100)
    name_pattern = TextField(max_length=48, required=False, allow_blank=True)
    version = Id(required=False, allow_null=True, help_text="null: always the newest ready version.")


class NewPool(PoolShape):
    name = NameField(max_length=40)
    template = Id(required=False, allow_null=True, help_text="null: its desktops are physical PCs.")
    cluster = Id(required=False, allow_null=True, help_text="Of the PCs, where there is no template.")
    storage = Id(required=False, allow_null=True, help_text="null: for each desktop the one with the most free space.")
    network = Id(required=False, allow_null=True)


class ChangedPool(PoolShape):
    revision = WholeNumber(
        required=False,
        min_value=0,
        max_value=2**31 - 1,
        help_text="The one you saw: refuses to overwrite a newer edit.",
    )


class EndOfPool(Input):
    force = Switch(required=False, help_text="Take desktops away from who has them.")


class AddedPc(Input):
    physical_machine = Id()


class Person(Input):
    user = Id()


class PersonOrGroup(Input):
    """Exactly one of the two."""

    user = Id(required=False, allow_null=True)
    group = Id(required=False, allow_null=True)


class PoolFilter(filters.FilterSet):
    state = choices(PoolState)
    kind = choices(Pool.Kind.values)
    cluster = filters.UUIDFilter(field_name="cluster_id")
    template = filters.UUIDFilter(field_name="template_id")
    search = Search("name", "title")


class Pools(Listed, Read, Ready, Rolling):
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

    @extend_schema(request=NewPool, responses={201: PoolSerializer})
    def create(self, request: Request) -> Response:
        """Make a pool; its desktops are made afterwards, some at a time."""
        given = self._objects(self.input(NewPool))
        return self.shown(create_pool(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedPool, responses=PoolSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change a pool. Desktops in use are not touched."""
        given = self._objects(self.input(ChangedPool))
        return self.shown(edit_pool(actor=self.actor, pool=self.find(), **given))

    @extend_schema(responses={202: PoolSerializer})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove a pool in which nobody has a desktop; it goes with its last desktop."""
        self.nothing()
        return self.shown(delete_pool(actor=self.actor, pool=self.find()), status=202)

    @verb("delete", takes=EndOfPool, gives=PoolSerializer, status=202)
    def delete_with(self, request: Request, pk: Any) -> Response:
        """Remove a pool, with `force` also from those who have a desktop of it."""
        return self.shown(delete_pool(actor=self.actor, pool=self.find(), **self.input(EndOfPool)), status=202)

    @verb("add-physical-machine", takes=AddedPc, gives=PoolSerializer)
    def add_physical_machine(self, request: Request, pk: Any) -> Response:
        """Put a PC into a pool without a template; retiring the desktop takes it out again."""
        pool = self.find()
        pc = find(self.actor, PhysicalMachine, self.input(AddedPc)["physical_machine"], "host.view")
        add_physical_machine(actor=self.actor, pool=pool, pc=pc)
        return self.shown(self.find())

    def _objects(self, given: dict[str, Any]) -> dict[str, Any]:
        kinds = {"cluster": Cluster, "template": VmTemplate, "storage": StorageDomain, "network": Network}
        for name, model in kinds.items():
            if given.get(name):
                given[name] = find(self.actor, model, given[name])
        if given.get("version"):
            given["version"] = find(self.actor, TemplateVersion, given["version"], "template.view")
        return given

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


class Desktops(Listed, Read, Updating):
    """Machines that are seats of a pool: one's own, and those one may look at."""

    serializer_class = DesktopSerializer
    filterset_class = DesktopFilter
    ordering = ("pool__title", "number")
    ordering_fields = ("number", "state", "held_since", "changed_at")

    def rows(self) -> QuerySet[Any]:
        rows = Desktop.objects.select_related("vm__template_version__template", "pool", "holder")
        return with_active_job(rows.annotate(update_number=waiting_number()), "vm")

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(vm__in=visible_to(self.actor, VirtualMachine, "vm.view"))

    @verb("assign", takes=Person, gives=DesktopSerializer)
    def assign(self, request: Request, pk: Any) -> Response:
        """Give the free desktop to somebody."""
        user = find(self.actor, User, self.input(Person)["user"])
        return self.shown(assign(actor=self.actor, desktop=self.find(), user=user))

    @verb("release", gives=DesktopSerializer)
    def release(self, request: Request, pk: Any) -> Response:
        """Give it back; what was left on a stateless one is removed."""
        self.nothing()
        return self.shown(release(actor=self.actor, desktop=self.find()))

    @verb("reset", gives=DesktopSerializer)
    def reset(self, request: Request, pk: Any) -> Response:
        """Bring a free or broken one back to its template."""
        self.nothing()
        return self.shown(reset_desktop(actor=self.actor, desktop=self.find()))

    @verb("mend", gives=DesktopSerializer)
    def mend(self, request: Request, pk: Any) -> Response:
        """Let a broken one be handed out again as it is."""
        self.nothing()
        return self.shown(mend_desktop(actor=self.actor, desktop=self.find()))

    @verb("retire", gives=DesktopSerializer, status=202)
    def retire(self, request: Request, pk: Any) -> Response:
        """Have it deleted; the pool makes another."""
        self.nothing()
        return self.shown(retire_desktop(actor=self.actor, desktop=self.find()), status=202)

    @verb("extend", gives=DesktopSerializer)
    def extend(self, request: Request, pk: Any) -> Response:
        """Put off the end of the session, once it has been warned of."""
        self.nothing()
        desktop = self.find()
        extend_session(actor=self.actor, desktop=desktop)
        return self.shown(desktop)


class Entitlements(Listed, Resource):
    """Who may take desktops of a pool."""

    serializer_class = EntitlementSerializer
    ordering = ("created_at",)
    ordering_fields = ("created_at",)
    model: type[Pool] | type[MetaPool] = Pool

    def rows(self) -> QuerySet[Grant]:
        return Grant.objects.filter(object_kind=self.model.access_kind).select_related("user", "group", "role")

    def visible(self, rows: QuerySet[Grant]) -> QuerySet[Grant]:
        pool = self._pool()
        if not may(self.actor, "system.view"):
            require(self.actor, f"{pool.access_kind}.manage", pool)
        return rows.filter(object_id=pool.pk)

    def _pool(self) -> Pool | MetaPool:
        return find(self.actor, self.model, self.kwargs["pool_pk"])

    def list(self, request: Request, pool_pk: Any) -> Response:  # type: ignore[override]
        """The roles given on this pool; those of the whole system are not among them."""
        return super().list(request)

    @extend_schema(request=PersonOrGroup, responses={201: EntitlementSerializer})
    def create(self, request: Request, pool_pk: Any) -> Response:
        """Let a user or a group take desktops."""
        pool, given = self._pool(), self.input(PersonOrGroup)
        user = find(self.actor, User, given["user"]) if given.get("user") else None
        group = find(self.actor, Group, given["group"]) if given.get("group") else None
        return self.shown(entitle(actor=self.actor, pool=pool, user=user, group=group), status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pool_pk: Any, pk: Any) -> Response:
        """Take the entitlement back. A desktop somebody has stays theirs."""
        self.nothing()
        row = self.find()
        disentitle(actor=self.actor, pool=self._pool(), user=row.user, group=row.group)
        return Response(status=204)
