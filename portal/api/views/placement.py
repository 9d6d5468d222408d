"""Placement: affinity groups, what would become of machines if hosts died, and what balancing would move."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.create_affinity_group import create_affinity_group
from broker.virt.actions.delete_affinity_group import delete_affinity_group
from broker.virt.actions.edit_affinity_group import edit_affinity_group
from broker.virt.models import AffinityGroup, Cluster, Host, VirtualMachine
from broker.virt.placement.balance import balance
from broker.virt.placement.gather import picture_of
from broker.virt.placement.recover import what_if
from portal.api.base import Door, Listed, Read, Resource
from portal.api.fields import Id, Input, NameField, Switch
from portal.api.queries import Search
from portal.api.serializers.common import RefSerializer


class AffinityGroupSerializer(serializers.ModelSerializer):
    cluster = RefSerializer()
    machines = RefSerializer(many=True)
    hosts = RefSerializer(many=True)

    class Meta:
        model = AffinityGroup
        fields = (
            "id", "name", "cluster", "machines", "hosts", "machine_label", "host_label", "same_owner", "machine_rule",
            "machine_hard", "host_rule", "host_hard",
        )  # fmt: skip


class ChangedAffinityGroup(Input):
    name = NameField(required=False)
    machines = serializers.ListField(child=Id(), required=False, max_length=1000)
    hosts = serializers.ListField(child=Id(), required=False, max_length=250)
    machine_label = NameField(required=False, allow_blank=True)
    host_label = NameField(required=False, allow_blank=True)
    same_owner = Switch(required=False, help_text="The rule holds among the machines of each owner.")
    machine_rule = serializers.ChoiceField(choices=AffinityGroup.Rule.choices, required=False, allow_blank=True)
    machine_hard = Switch(required=False, help_text="A demand, not a wish.")
    host_rule = serializers.ChoiceField(choices=AffinityGroup.Rule.choices, required=False, allow_blank=True)
    host_hard = Switch(required=False, help_text="A demand, not a wish.")


class NewAffinityGroup(ChangedAffinityGroup):
    cluster = Id()
    name = NameField()


class GroupFilter(filters.FilterSet):
    cluster = filters.UUIDFilter(field_name="cluster_id")
    search = Search("name")


class AffinityGroups(Listed, Read, Resource):
    """Machines that belong together or apart, or on certain hosts."""

    serializer_class = AffinityGroupSerializer
    filterset_class = GroupFilter
    verb = "cluster.view"

    def rows(self) -> QuerySet[AffinityGroup]:
        return AffinityGroup.objects.select_related("cluster").prefetch_related("machines", "hosts")

    def _members(self, given: dict[str, Any]) -> dict[str, Any]:
        for field, model in (("machines", VirtualMachine), ("hosts", Host)):
            if field in given:
                given[field] = [find(self.actor, model, pk) for pk in given[field]]
        return given

    @extend_schema(request=NewAffinityGroup, responses={201: AffinityGroupSerializer})
    def create(self, request: Request) -> Response:
        """Make an affinity group."""
        given = self._members(self.input(NewAffinityGroup))
        given["cluster"] = find(self.actor, Cluster, given["cluster"])
        return self.shown(create_affinity_group(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedAffinityGroup, responses=AffinityGroupSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change its rules or members; members given replace those there are."""
        group = self.find()
        return self.shown(
            edit_affinity_group(actor=self.actor, group=group, **self._members(self.input(ChangedAffinityGroup)))
        )

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove the group; its members stay where they are."""
        self.nothing()
        delete_affinity_group(actor=self.actor, group=self.find())
        return Response(status=204)


class RestartSerializer(serializers.Serializer):
    vm = RefSerializer()
    host = RefSerializer(allow_null=True, help_text="Where it would be restarted; null: it waits or stays off.")
    why = serializers.ListField(child=serializers.CharField(), help_text="For each host why it will not do.")


class HostLossSerializer(serializers.Serializer):
    restarts = RestartSerializer(many=True)
    waiting = RestartSerializer(many=True, help_text="Highly available, but without room.")
    stopped = RestartSerializer(many=True, help_text="Not highly available: they stay off.")


class MoveSerializer(serializers.Serializer):
    vm = RefSerializer()
    source = RefSerializer()  # type: ignore[assignment]  # a field's own `source` is another matter
    target = RefSerializer()
    why = serializers.CharField()


class WhatIf(Door):
    """What if a host died?"""

    query_parameters = frozenset({"host"})

    @extend_schema(
        operation_id="clusters_what_if",
        parameters=[OpenApiParameter("host", str, required=True, description="The id of the host.")],
        responses=HostLossSerializer,
    )
    def get(self, request: Request, pk: Any) -> Response:
        """Which machines would be restarted where, in order, and which would have no room. Changes nothing."""
        cluster = find(self.actor, Cluster, pk, "cluster.manage")
        host = find(self.actor, Host, request.query_params.get("host", ""))
        outcome = what_if(picture_of(cluster), [host.pk])
        answer = {
            "restarts": [_restart(one.machine, one.host) for one in outcome.restarts],
            "waiting": [_restart(one.machine, None, one.reasons) for one in outcome.waiting],
            "stopped": [_restart(one, None) for one in outcome.stopped],
        }
        return Response(answer)


class Balance(Door):
    """What balancing would move."""

    @extend_schema(operation_id="clusters_balance", responses=MoveSerializer(many=True))
    def get(self, request: Request, pk: Any) -> Response:
        """The migrations the cluster's policy wants now, with the reason of each. Changes nothing."""
        cluster = find(self.actor, Cluster, pk, "cluster.manage")
        moves = [
            {
                "vm": _ref(move.machine), "source": _ref(move.source), "target": _ref(move.target),
                "why": move.why % dict(move.params),
            }
            for move in balance(picture_of(cluster))
        ]  # fmt: skip
        return Response(moves)


def _ref(row: Any) -> dict[str, str]:
    return {"id": str(row.id), "name": row.name}


def _restart(machine: Any, host: Any, reasons: Any = ()) -> dict[str, Any]:
    why = [f"{one.subject}: {one.message}" for one in reasons]
    return {"vm": _ref(machine), "host": _ref(host) if host else None, "why": why}
