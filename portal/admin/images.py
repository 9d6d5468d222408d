"""The library of images in the back office, and the servers they are fetched from; uploads are made by the portal."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, RelatedDropdownFilter

from broker.virt.actions.create_image_source import create_image_source
from broker.virt.actions.delete_image import delete_image
from broker.virt.actions.delete_image_source import delete_image_source
from broker.virt.actions.edit_image import edit_image
from broker.virt.actions.edit_image_source import edit_image_source
from broker.virt.models import Image, ImageSource, VirtualMachine

from .deeds import Deed, with_deeds
from .rows import AMBER, BLUE, GREEN, Inline, Rows, Sized, life
from .site import site


class DriveInline(Inline):
    """In whose drives it lies."""

    model = VirtualMachine
    fk_name = "cd"
    fields = readonly_fields = ("name", "power_state")
    verbose_name_plural = _("In the drives of")


@admin.register(Image, site=site)
@with_deeds(
    Deed(
        "delete", _("Delete"), delete_image, "image",
        _("The image is removed for good. Machines made from it have copies of their own and stay."), "delete",
        destroys=True,
    ),
)  # fmt: skip
class ImageAdmin(Sized):
    editable = True
    list_display = ("name", "kind", "life", "storage", "size", "maker", "created_at")
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("state", ChoicesDropdownFilter),
        ("storage", RelatedDropdownFilter),
    )
    search_fields = ("name", "description")
    list_select_related = ("storage", "maker")
    fields = (
        ("name", "kind"), "description", ("storage", "volume"), ("size", "format"), "sha256", "url",
        ("maker", "created_at"),
    )  # fmt: skip
    readonly_fields = ("kind", "storage", "volume", "size", "format", "sha256", "url", "maker", "created_at")
    inlines = (DriveInline,)

    def change_by(self, request: HttpRequest, obj: Image, values: dict[str, Any]) -> None:
        edit_image(actor=self.actor(request), image=Image.objects.get(pk=obj.pk), **values)

    life = life({"ready": GREEN, "uploading": BLUE, "importing": BLUE, "deleting": AMBER})


@admin.register(ImageSource, site=site)
class ImageSourceAdmin(Rows):
    addable = editable = removable = True
    list_display = ("host", "port", "private", "most_gib", "created_at")
    search_fields = ("host",)
    fields = (("host", "port"), "private", "most_gib", "ca")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("host", "port") if obj else ()

    def add_by(self, request: HttpRequest, values: dict[str, Any]) -> ImageSource:
        return create_image_source(actor=self.actor(request), **values)

    def change_by(self, request: HttpRequest, obj: ImageSource, values: dict[str, Any]) -> None:
        edit_image_source(actor=self.actor(request), source=ImageSource.objects.get(pk=obj.pk), **values)

    def remove_by(self, request: HttpRequest, obj: ImageSource) -> None:
        delete_image_source(actor=self.actor(request), source=obj)
