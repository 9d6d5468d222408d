"""Disks, and machines as OVAs, as files to be downloaded."""

from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.actions.delete_export import delete_export
from broker.virt.actions.download_export import download_export
from broker.virt.actions.export_disk import export_disk
from broker.virt.actions.export_vm import export_vm
from broker.virt.models import DiskExport
from portal.api.base import Listed, Read
from portal.api.fields import Id, Input
from portal.api.files import FileRenderer
from portal.api.serializers.exports import DiskExportSerializer
from portal.api.serializers.jobs import JobSerializer
from portal.ranges import begins, ranged

from .disks import OfVm, snapshot_of


class Octets(FileRenderer):
    media_type, format = "application/octet-stream", "qcow2"


class NewExport(Input):
    disk = Id()
    snapshot = Id(required=False, allow_null=True, help_text="The disk as this one holds it; the machine may run.")


class NewOva(Input):
    snapshot = Id(required=False, allow_null=True, help_text="Its disks as this one holds them; the machine may run.")


class DiskExports(Listed, Read, OfVm):
    """Files of a machine and its disks; they are kept for a day."""

    serializer_class = DiskExportSerializer
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "size_bytes")

    def rows(self) -> QuerySet[DiskExport]:
        return DiskExport.objects.select_related("vm")

    def list(self, request: Request, vm_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)

    def retrieve(self, request: Request, vm_pk: Any, pk: Any) -> Response:  # type: ignore[override]
        return super().retrieve(request, pk)

    @extend_schema(request=NewExport, responses={202: JobSerializer})
    def create(self, request: Request, vm_pk: Any) -> Response:
        """Make a file of a disk; the job's argument `export` is its id. Then get …/data/."""
        vm, given = self.vm(), self.input(NewExport)
        disk = vm.disks.filter(pk=given["disk"]).first()
        if disk is None:
            raise Invalid(N_("There is no such disk."), field="disk", fix=N_("Choose disks of the machine."))
        snapshot = snapshot_of(vm, given.get("snapshot"))
        return self.accepted(export_disk(actor=self.actor, disk=disk, snapshot=snapshot))

    @extend_schema(request=NewOva, responses={202: JobSerializer})
    @action(detail=False, methods=["post"], url_path="ova", url_name="ova")
    def ova(self, request: Request, vm_pk: Any) -> Response:
        """Make an OVA of the machine; the job's argument `export` is its id. Then get …/data/."""
        vm, given = self.vm(), self.input(NewOva)
        return self.accepted(export_vm(actor=self.actor, vm=vm, snapshot=snapshot_of(vm, given.get("snapshot"))))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Delete the file; the machine stays."""
        self.nothing()
        delete_export(actor=self.actor, export=self.find())
        return Response(status=204)

    @extend_schema(
        parameters=[OpenApiParameter("Range", str, OpenApiParameter.HEADER, description="One range of bytes.")],
        responses={(200, Octets.media_type): OpenApiTypes.BINARY, (206, Octets.media_type): OpenApiTypes.BINARY},
    )
    @action(detail=True, methods=["get"], url_path="data", url_name="data", renderer_classes=[Octets])
    def data(self, request: Request, vm_pk: Any, pk: Any) -> HttpResponseBase:
        """The file, or the range of it that is asked for; the ETag is its SHA-256."""
        export, plain = self.find(), request._request
        file = download_export(actor=self.actor, export=export, first=begins(plain))
        return ranged(plain, file, name=export.name, etag=export.sha256)
