"""Disks that belong to no machine."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.attach_disk import attach_disk
from broker.virt.actions.delete_floating_disk import delete_floating_disk
from broker.virt.actions.share_disk import share_disk
from broker.virt.models import FloatingDisk, VirtualMachine
from portal.api.base import Listed, Read, Resource, job_verb
from portal.api.fields import Id, Input, Switch
from portal.api.queries import Search
from portal.api.serializers.floating import FloatingDiskSerializer
from portal.api.serializers.jobs import JobSerializer


class Taker(Input):
    vm = Id(help_text="The machine that gets it.")


class Sharing(Input):
    shared = Switch(required=False, help_text="false: for one machine again.")


class FloatingDiskFilter(filters.FilterSet):
    storage = filters.UUIDFilter(field_name="storage_id")
    shared = filters.BooleanFilter()
    search = Search("name", "volume")


class FloatingDisks(Listed, Read, Resource):
    """Disks that belong to no machine: taken out of one, or made of a left-over file."""

    serializer_class = FloatingDiskSerializer
    filterset_class = FloatingDiskFilter
    ordering_fields = ("name", "created_at", "size_bytes")

    def rows(self) -> QuerySet[FloatingDisk]:
        return FloatingDisk.objects.select_related("storage", "owner")

    @extend_schema(responses={202: JobSerializer})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Delete it with its image."""
        self.nothing()
        return self.accepted(delete_floating_disk(actor=self.actor, disk=self.find()))

    @job_verb("share", takes=Sharing)
    def share(self, request: Request, pk: Any) -> Response:
        """Write its image anew, as one that several machines can have at once, or one machine again."""
        return self.accepted(share_disk(actor=self.actor, disk=self.find(), **self.input(Sharing)))

    @job_verb("attach", takes=Taker)
    def attach(self, request: Request, pk: Any) -> Response:
        """Plug it into a machine, also while that runs; it is the machine's then, under the same id."""
        disk = self.find()
        vm = find(self.actor, VirtualMachine, self.input(Taker)["vm"])
        return self.accepted(attach_disk(actor=self.actor, disk=disk, vm=vm))
