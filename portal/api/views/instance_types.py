"""Instance types: sizes of machines under names."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.virt.actions.create_instance_type import create_instance_type
from broker.virt.actions.delete_instance_type import delete_instance_type
from broker.virt.actions.edit_instance_type import edit_instance_type
from broker.virt.instance_types import instance_types
from broker.virt.machine_options import OPTIONS
from broker.virt.models import InstanceType
from portal.api.base import Listed, Read, Resource
from portal.api.fields import Input, NameField, TextField, WholeNumber
from portal.api.queries import Search
from portal.api.settings_fields import rules_input

TypeOptions = rules_input("InstanceTypeOptions", OPTIONS)


class InstanceTypeSerializer(serializers.ModelSerializer):
    options = serializers.DictField(help_text="Hardware beyond the size.")

    class Meta:
        model = InstanceType
        fields = ("id", "name", "description", "vcpus", "memory_mib", "options", "created_at")


class ChangedInstanceType(Input):
    name = NameField(required=False)
    description = TextField(max_length=200, required=False, allow_blank=True)
    vcpus = WholeNumber(required=False, min_value=1, max_value=512)
    memory_mib = WholeNumber(required=False, min_value=1, max_value=2**31 - 1)
    options = TypeOptions(required=False, help_text="Hardware beyond the size; those left out are taken out.")


class NewInstanceType(ChangedInstanceType):
    name = NameField()
    vcpus = WholeNumber(min_value=1, max_value=512)
    memory_mib = WholeNumber(min_value=1, max_value=2**31 - 1)


class InstanceTypeFilter(filters.FilterSet):
    search = Search("name", "description")


class InstanceTypes(Listed, Read, Resource):
    """Sizes of machines under names. Changing one changes no machine."""

    serializer_class = InstanceTypeSerializer
    filterset_class = InstanceTypeFilter
    ordering = ("memory_mib",)
    ordering_fields = ("name", "vcpus", "memory_mib", "created_at")

    def rows(self) -> QuerySet[InstanceType]:
        return InstanceType.objects.all()

    def visible(self, rows: QuerySet[InstanceType]) -> QuerySet[InstanceType]:
        return instance_types(self.actor)

    @extend_schema(request=NewInstanceType, responses={201: InstanceTypeSerializer})
    def create(self, request: Request) -> Response:
        """Make an instance type."""
        return self.shown(create_instance_type(actor=self.actor, **self.input(NewInstanceType)), status=201)

    @extend_schema(request=ChangedInstanceType, responses=InstanceTypeSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change it; the machines that were made by it stay as they are."""
        kind = self.find()
        return self.shown(edit_instance_type(actor=self.actor, kind=kind, **self.input(ChangedInstanceType)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove it; the machines that were made by it keep what they have."""
        self.nothing()
        delete_instance_type(actor=self.actor, kind=self.find())
        return Response(status=204)
