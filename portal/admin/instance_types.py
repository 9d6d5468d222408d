"""Instance types in the back office."""

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from broker.virt.actions.create_instance_type import create_instance_type
from broker.virt.actions.delete_instance_type import delete_instance_type
from broker.virt.actions.edit_instance_type import edit_instance_type
from broker.virt.models import InstanceType

from .rows import Rows
from .site import site


@admin.register(InstanceType, site=site)
class InstanceTypeAdmin(Rows):
    """Changing one changes no machine that was made by it."""

    addable = editable = removable = True
    list_display = ("name", "vcpus", "memory_mib", "description", "machines")
    search_fields = ("name", "description")
    fields = ("name", "description", ("vcpus", "memory_mib"), "options")

    def get_queryset(self, request: HttpRequest) -> QuerySet[InstanceType]:
        rows: QuerySet[InstanceType] = super().get_queryset(request).annotate(machine_count=Count("vms"))
        return rows

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> forms.Field | None:
        field: forms.Field | None = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None and db_field.name == "options":
            field.help_text = _('Hardware beyond the size, like {"max_vcpus": 8, "sockets": 1, "cores": 8}.')
        return field

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> InstanceType:
        return create_instance_type(actor=self.actor(request), **values)

    def change_by(self, request: HttpRequest, obj: InstanceType, values: dict[str, Any]) -> None:
        edit_instance_type(actor=self.actor(request), kind=InstanceType.objects.get(pk=obj.pk), **values)

    def remove_by(self, request: HttpRequest, obj: InstanceType) -> None:
        delete_instance_type(actor=self.actor(request), kind=obj)

    @display(description=_("Machines"), ordering="machine_count")
    def machines(self, row: Any) -> int:
        return int(row.machine_count)
