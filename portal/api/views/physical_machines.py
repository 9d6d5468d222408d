"""Physical PCs."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.create_physical_machine import create_physical_machine
from broker.virt.actions.delete_physical_machine import delete_physical_machine
from broker.virt.actions.edit_physical_machine import edit_physical_machine
from broker.virt.models import Cluster, PhysicalMachine
from broker.virt.physical.rules import MOST_PORT
from broker.virt.physical.secret import LONGEST
from portal.api.base import Listed, Read, Resource
from portal.api.fields import Id, Input, LongTextField, NameField, Switch, TextField, WholeNumber
from portal.api.queries import Search
from portal.api.serializers.common import RefSerializer


class PhysicalMachineSerializer(serializers.ModelSerializer):
    id = serializers.UUIDField(source="pk", help_text="Also that of its machine: its power, console and rights.")
    name = serializers.CharField(source="vm.name")
    title = serializers.CharField(source="vm.title")
    notes = serializers.CharField(source="vm.notes")
    tags: serializers.SlugRelatedField = serializers.SlugRelatedField(
        source="vm.tags", slug_field="name", many=True, read_only=True
    )
    cluster = RefSerializer(source="vm.cluster")
    power_state = serializers.CharField(source="vm.power_state")
    has_vnc_password = serializers.SerializerMethodField()

    class Meta:
        model = PhysicalMachine
        fields = (
            "id", "name", "title", "notes", "tags", "cluster", "address", "mac", "broadcast", "vnc_port",
            "has_vnc_password", "rdp_port", "probe_port", "maintenance", "power_state", "resolved", "open_ports",
            "probed_at", "error",
        )  # fmt: skip

    def get_has_vnc_password(self, pc: PhysicalMachine) -> bool:
        return bool(pc.vnc_secret)


def _port(text: str) -> WholeNumber:
    return WholeNumber(required=False, min_value=0, max_value=MOST_PORT, help_text=text)


class ChangedPhysicalMachine(Input):
    name = NameField(required=False)
    title = TextField(required=False, allow_blank=True)
    notes = LongTextField(max_length=10_000, required=False, allow_blank=True)
    tags = serializers.ListField(child=NameField(), required=False, max_length=32)
    address = TextField(max_length=253, required=False, help_text="Its name in the network, or its IP address.")
    mac = TextField(max_length=17, required=False, allow_blank=True, help_text="By which it is woken.")
    broadcast = TextField(
        max_length=15, required=False, allow_blank=True, help_text="Where it is woken from another network."
    )
    vnc_port = _port("0: it has no VNC server.")
    vnc_password = TextField(
        max_length=LONGEST, required=False, allow_blank=True, write_only=True, trim_whitespace=False,
        help_text="Kept sealed and never told.",
    )  # fmt: skip
    rdp_port = _port("0: it is not offered by RDP.")
    probe_port = _port("By which it is seen to be on; 0: by the others.")
    maintenance = Switch(required=False, help_text="Nobody wakes or opens it, and nobody is given it.")


class NewPhysicalMachine(ChangedPhysicalMachine):
    cluster = Id()
    name = NameField()
    address = TextField(max_length=253, help_text="Its name in the network, or its IP address.")
    maintenance = None  # type: ignore[assignment]


class PhysicalMachineFilter(filters.FilterSet):
    cluster = filters.UUIDFilter(field_name="vm__cluster_id")
    power_state = filters.CharFilter(field_name="vm__power_state")
    search = Search("vm__name", "vm__title", "address", "mac")


class PhysicalMachines(Listed, Read, Resource):
    """PCs that no hypervisor runs. Each is a machine as well, under the same id: woken, opened and granted as those."""

    serializer_class = PhysicalMachineSerializer
    filterset_class = PhysicalMachineFilter
    verb = "host.view"
    ordering = ("vm__name",)
    ordering_fields = ("vm__name", "address", "probed_at")

    def rows(self) -> QuerySet[PhysicalMachine]:
        return PhysicalMachine.objects.select_related("vm__cluster").prefetch_related("vm__tags")

    @extend_schema(request=NewPhysicalMachine, responses={201: PhysicalMachineSerializer})
    def create(self, request: Request) -> Response:
        """Add a PC."""
        given = self.input(NewPhysicalMachine)
        given["cluster"] = find(self.actor, Cluster, given["cluster"])
        return self.shown(create_physical_machine(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedPhysicalMachine, responses=PhysicalMachineSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change it. A password that is not given stays, unless the address is another."""
        return self.shown(edit_physical_machine(actor=self.actor, pc=self.find(), **self.input(ChangedPhysicalMachine)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Forget it; nothing happens at the PC itself."""
        self.nothing()
        delete_physical_machine(actor=self.actor, pc=self.find())
        return Response(status=204)
