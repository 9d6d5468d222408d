"""The library of images: CDs and disks that people bring along, sent in pieces that can be gone on with."""

from typing import IO, Any, cast

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from broker.access.require import find
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.actions.append_image import append_image
from broker.virt.actions.create_image import create_image
from broker.virt.actions.delete_image import delete_image
from broker.virt.actions.edit_image import edit_image
from broker.virt.actions.finish_image import finish_image
from broker.virt.models import Image, StorageDomain
from broker.virt.states import ImageState
from broker.virt.uploads import LARGEST_CHUNK
from portal.api.auth import actor_of
from portal.api.base import Door, Listed, Read, Resource, job_verb
from portal.api.fields import Id, Input, LongTextField, NameField, TextField, WholeNumber
from portal.api.problems import TooLarge
from portal.api.queries import Search, choices
from portal.api.serializers.images import ImageSerializer
from portal.api.serializers.jobs import JobSerializer

OFFSET = "Upload-Offset"


class NewImage(Input):
    name = NameField()
    kind = serializers.ChoiceField(choices=Image.Kind.choices)
    storage = Id()
    size_bytes = WholeNumber(min_value=512, max_value=2**44, help_text="Of the file.")
    format = serializers.ChoiceField(
        choices=Image.Format.choices, required=False, help_text="What the file must be; left out: what it is."
    )
    sha256 = TextField(max_length=64, required=False, allow_blank=True, help_text="Checked before it is used.")
    description = LongTextField(required=False, allow_blank=True)


class ChangedImage(Input):
    name = NameField(required=False)
    description = LongTextField(required=False, allow_blank=True)


class ImageFilter(filters.FilterSet):
    kind = choices(Image.Kind)
    state = choices(ImageState)
    storage = filters.UUIDFilter(field_name="storage_id")
    search = Search("name", "description")


class Images(Listed, Read, Resource):
    """Images of the library."""

    serializer_class = ImageSerializer
    filterset_class = ImageFilter
    ordering_fields = ("name", "created_at", "size_bytes")

    def rows(self) -> QuerySet[Image]:
        return Image.objects.select_related("storage")

    @extend_schema(request=NewImage, responses={201: ImageSerializer})
    def create(self, request: Request) -> Response:
        """Begin an upload. Send the bytes to …/data/ in pieces, then call …/finish/."""
        given = self.input(NewImage)
        given["storage"] = find(self.actor, StorageDomain, given["storage"])
        return self.shown(create_image(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedImage, responses=ImageSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change what it is called, and what is noted of it."""
        return self.shown(edit_image(actor=self.actor, image=self.find(), **self.input(ChangedImage)))

    @extend_schema(responses={202: JobSerializer})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Delete it, or cancel its upload."""
        self.nothing()
        return self.accepted(delete_image(actor=self.actor, image=self.find()))

    @job_verb("finish")
    def finish(self, request: Request, pk: Any) -> Response:
        """All bytes are here: check the checksum, look at the image, and put it on its storage."""
        self.nothing()
        return self.accepted(finish_image(actor=self.actor, image=self.find()))


class Bytes(BaseParser):
    """The body as a stream."""

    media_type = "application/octet-stream"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream


class ImageData(Door):
    """The bytes of an upload. Not idempotent by key: the offset says whether a piece came already."""

    parser_classes = (Bytes,)  # type: ignore[assignment] # the only door that takes no JSON

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        APIView.initial(self, request, *args, **kwargs)  # without the small bodies of all other calls
        self.actor = actor_of(request)
        request._request.actor = self.actor  # type: ignore[attr-defined]

    @extend_schema(
        request={"application/octet-stream": OpenApiTypes.BINARY},
        parameters=[OpenApiParameter(OFFSET, int, OpenApiParameter.HEADER, description="Where this piece begins.")],
        responses={200: ImageSerializer},
    )
    def put(self, request: Request, pk: Any) -> Response:
        """Send the next piece, of at most 64 MiB; 409 names the byte that is expected."""
        image = find(self.actor, Image, pk)
        length = _number(request.headers.get("Content-Length", ""), "Content-Length")
        if length > LARGEST_CHUNK:
            raise TooLarge(
                N_("The body has more than %(most)s bytes."), fix=N_("Send smaller pieces."), most=LARGEST_CHUNK
            )
        offset = _number(request.headers.get(OFFSET, "0"), OFFSET)
        if request.content_type != Bytes.media_type:
            raise Invalid(
                N_("This is no piece of a file."), field="Content-Type", fix=N_("Send application/octet-stream.")
            )
        stream = cast(IO[bytes], request._request)
        image = append_image(actor=self.actor, image=image, offset=offset, length=length, stream=stream)
        return Response(ImageSerializer(image).data)


def _number(value: str, name: str) -> int:
    if not value.isascii() or not value.isdigit() or len(value) > 15:
        raise Invalid(N_("This is no number of bytes."), field=name, fix=N_("Give a whole number, 0 or more."))
    return int(value)
