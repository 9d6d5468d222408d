"""The PCI and USB devices of hosts, and those that machines have."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find, visible_to
from broker.virt.actions.attach_device import attach_device
from broker.virt.actions.detach_device import detach_device
from broker.virt.models import DeviceUse, HostDevice
from portal.api.base import Listed, Read
from portal.api.fields import Id, Input, Switch
from portal.api.serializers.devices import DeviceUseSerializer, HostDeviceSerializer

from .availability import OfHost
from .disks import OfVm


class HostDevices(Listed, Read, OfHost):
    """The devices of a host, as it was last asked."""

    serializer_class = HostDeviceSerializer
    ordering = ("key",)
    ordering_fields = ("key", "title", "group")

    def rows(self) -> QuerySet[HostDevice]:
        return HostDevice.objects.all()

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return visible_to(self.actor, super().visible(rows))

    def list(self, request: Request, host_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)

    def retrieve(self, request: Request, host_pk: Any, pk: Any) -> Response:  # type: ignore[override]
        return super().retrieve(request, pk)


class NewDevice(Input):
    device = Id(help_text="A device of the machine's host.")
    now = Switch(required=False, help_text="false: keep it for its next start, also where its run could take it.")


class VmDevices(Listed, Read, OfVm):
    """What the machine has of its host's devices. One that is not `plugged` comes with its next start."""

    serializer_class = DeviceUseSerializer
    ordering = ("device__key",)
    ordering_fields = ("device__key",)

    def rows(self) -> QuerySet[DeviceUse]:
        return DeviceUse.objects.select_related("device", "vm")

    def list(self, request: Request, vm_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)

    def retrieve(self, request: Request, vm_pk: Any, pk: Any) -> Response:  # type: ignore[override]
        return super().retrieve(request, pk)

    @extend_schema(request=NewDevice, responses={201: DeviceUseSerializer})
    def create(self, request: Request, vm_pk: Any) -> Response:
        """Give it a device, which binds it to that host; a USB device is plugged into a running machine by a job."""
        given = self.input(NewDevice)
        given["device"] = find(self.actor, HostDevice, given["device"])
        return self.shown(attach_device(actor=self.actor, vm=self.vm(), **given), status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Take it away; of a running machine at its next start where the guest does not let it go."""
        self.nothing()
        detach_device(actor=self.actor, use=self.find())
        return Response(status=204)
