"""The shared disks that a machine has."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.attach_shared_disk import attach_shared_disk
from broker.virt.actions.detach_shared_disk import detach_shared_disk
from broker.virt.models import DiskShare, FloatingDisk
from portal.api.base import Listed, Read
from portal.api.fields import Id, Input, Switch
from portal.api.serializers.floating import DiskShareSerializer

from .disks import OfVm


class NewDiskShare(Input):
    disk = Id(help_text="A shared disk of no machine.")
    read_only = Switch(  # type: ignore[assignment]
        required=False, help_text="The guest cannot write to it."
    )
    now = Switch(required=False, help_text="false: keep it for its next start, also where its run could take it.")


class SharedDisks(Listed, Read, OfVm):
    """What the machine has of disks that others have, too. One that is not `plugged` comes with its next start."""

    serializer_class = DiskShareSerializer
    ordering = ("target",)
    ordering_fields = ("target",)

    def rows(self) -> QuerySet[DiskShare]:
        return DiskShare.objects.select_related("disk", "vm")

    def list(self, request: Request, vm_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)

    def retrieve(self, request: Request, vm_pk: Any, pk: Any) -> Response:  # type: ignore[override]
        return super().retrieve(request, pk)

    @extend_schema(request=NewDiskShare, responses={201: DiskShareSerializer})
    def create(self, request: Request, vm_pk: Any) -> Response:
        """Give it a shared disk; into a running machine a job plugs it."""
        given = self.input(NewDiskShare)
        given["disk"] = find(self.actor, FloatingDisk, given["disk"])
        return self.shown(attach_shared_disk(actor=self.actor, vm=self.vm(), **given), status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Take it away; the disk and what is on it stay."""
        self.nothing()
        detach_shared_disk(actor=self.actor, share=self.find())
        return Response(status=204)
