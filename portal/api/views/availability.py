"""High availability: fence devices of hosts, the verdicts on them, fencing by hand, and what would be done now."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.confirm_rebooted import confirm_rebooted
from broker.virt.actions.create_fence_device import create_fence_device
from broker.virt.actions.delete_fence_device import delete_fence_device
from broker.virt.actions.fence_host import fence_host
from broker.virt.ha.fencing import AGENTS
from broker.virt.ha.rehearsal import rehearse
from broker.virt.models import Cluster, FenceDevice, Host, Verdict
from portal.api.base import Door, Listed, Resource
from portal.api.fields import Empty, Id, Input, TextField
from portal.api.serializers.common import RefSerializer
from portal.api.serializers.jobs import JobSerializer


class FenceDeviceSerializer(serializers.ModelSerializer):
    options = serializers.DictField(child=serializers.CharField())

    class Meta:
        model = FenceDevice
        fields = ("id", "agent", "address", "username", "options", "order")


class NewFenceDevice(Input):
    agent = serializers.ChoiceField(choices=[(name, name) for name in AGENTS])
    address = TextField(max_length=255)
    username = TextField(max_length=64, required=False, allow_blank=True)
    password = TextField(max_length=255, required=False, allow_blank=True, trim_whitespace=False)
    options = serializers.DictField(child=TextField(max_length=255), required=False)


class OfHost(Resource):
    """Rows of one host."""

    def rows(self) -> QuerySet[Any]:
        """All of them, of every host; each resource has its own."""
        raise NotImplementedError

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(host=self.host())

    def host(self) -> Host:
        return find(self.actor, Host, self.kwargs["host_pk"])


class FenceDevices(Listed, OfHost):
    """How a host's power is cut."""

    serializer_class = FenceDeviceSerializer
    ordering = ("order",)
    ordering_fields = ("order",)

    def rows(self) -> QuerySet[FenceDevice]:
        return FenceDevice.objects.all()

    def list(self, request: Request, host_pk: Any) -> Response:  # type: ignore[override]
        """In the order in which they are tried; passwords are not told."""
        return super().list(request)

    @extend_schema(request=NewFenceDevice, responses={201: FenceDeviceSerializer})
    def create(self, request: Request, host_pk: Any) -> Response:
        """Add one, through an agent of the package fence-agents."""
        given = self.input(NewFenceDevice)
        return self.shown(create_fence_device(actor=self.actor, host=self.host(), **given), status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, host_pk: Any, pk: Any) -> Response:
        """Forget it."""
        self.nothing()
        delete_fence_device(actor=self.actor, device=self.find())
        return Response(status=204)


class EvidenceSerializer(serializers.Serializer):
    source = serializers.CharField(  # type: ignore[assignment]
        help_text="libvirt, agent, lease, peer or asked."
    )
    by = serializers.CharField(help_text="Which other host saw it, of a peer.")
    ago = serializers.FloatField(allow_null=True, help_text="Seconds since its last sign of life; null: never.")
    detail = serializers.CharField()  # type: ignore[assignment]  # a field's own words are another matter


class VerdictSerializer(serializers.ModelSerializer):
    text = serializers.SerializerMethodField()
    evidence = EvidenceSerializer(many=True)

    class Meta:
        model = Verdict
        fields = ("id", "at", "decision", "rule", "text", "evidence", "silent_seconds", "epoch")

    def get_text(self, verdict: Verdict) -> str:
        return str(verdict.message % verdict.params)


class Verdicts(Listed, OfHost):
    """What was decided about a host, on which evidence."""

    serializer_class = VerdictSerializer
    ordering = ("-at",)
    ordering_fields = ("at",)

    def rows(self) -> QuerySet[Verdict]:
        return Verdict.objects.all()

    def list(self, request: Request, host_pk: Any) -> Response:  # type: ignore[override]
        """The latest first; one is written when the decision or its rule changes."""
        return super().list(request)


class Fence(Door):
    """Cut a host's power."""

    @extend_schema(operation_id="hosts_fence", request=Empty, responses={202: JobSerializer})
    def post(self, request: Request, pk: Any) -> Response:
        """At once, whatever the host says. Its machines count as off when power management says that it is."""
        Empty(data=request.data).is_valid(raise_exception=True)
        job = fence_host(actor=self.actor, host=find(self.actor, Host, pk))
        return Response(JobSerializer(job, context={"view": self, "request": request}).data, status=202)


class ConfirmRebooted(Door):
    """Say that a silent host was rebooted."""

    @extend_schema(operation_id="hosts_confirm_rebooted", request=Empty, responses={204: None})
    def post(self, request: Request, pk: Any) -> Response:
        """Its machines are then restarted elsewhere: say it only when you saw that it is off or was rebooted."""
        Empty(data=request.data).is_valid(raise_exception=True)
        confirm_rebooted(actor=self.actor, host=find(self.actor, Host, pk))
        return Response(status=204)


class RulingSerializer(serializers.Serializer):
    host = RefSerializer()
    decision = serializers.CharField()
    rule = serializers.CharField()
    text = serializers.CharField()


class QueuedSerializer(serializers.Serializer):
    vm_id = Id()
    vm = serializers.CharField()
    lost_host = serializers.CharField()
    state = serializers.CharField()
    tries = serializers.IntegerField()
    would_go_to = serializers.CharField(help_text="The host it would be restarted on now; empty: none has room.")
    why = serializers.CharField()


class RehearsalSerializer(serializers.Serializer):
    mode = serializers.CharField()
    hosts = RulingSerializer(many=True)
    queue = QueuedSerializer(many=True, help_text="Machines to be restarted, in order.")


class Availability(Door):
    """What high availability would do now."""

    @extend_schema(operation_id="clusters_availability", responses=RehearsalSerializer)
    def get(self, request: Request, pk: Any) -> Response:
        """The ruling on every host, and the machines that wait to be restarted. Changes nothing."""
        told = rehearse(find(self.actor, Cluster, pk, "cluster.manage"))
        rulings = [
            {
                "host": {"id": str(one.host.pk), "name": one.host.name}, "decision": one.ruling.decision,
                "rule": one.ruling.rule, "text": one.ruling.message % dict(one.ruling.params),
            }
            for one in told.situations
        ]  # fmt: skip
        queue = [
            {
                "vm_id": str(row.vm_id), "vm": row.vm.name, "lost_host": row.host.name, "state": row.state,
                "tries": row.tries, "would_go_to": target, "why": why or row.reason,
            }
            for row, target, why in told.queue
        ]  # fmt: skip
        return Response({"mode": told.mode, "hosts": rulings, "queue": queue})
