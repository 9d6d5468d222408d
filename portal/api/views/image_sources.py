"""Fetching images from servers, and the servers they may be fetched from."""

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.create_image_source import create_image_source
from broker.virt.actions.delete_image_source import delete_image_source
from broker.virt.actions.edit_image_source import edit_image_source
from broker.virt.actions.fetch_image import fetch_image
from broker.virt.image_sources import LONGEST_URL, MOST_GIB, image_sources
from broker.virt.models import Image, ImageSource, StorageDomain
from portal.api.base import Door, Listed, Read, Resource
from portal.api.fields import Id, Input, LongTextField, NameField, Switch, TextField, WholeNumber
from portal.api.serializers.jobs import JobSerializer


class ImageSourceSerializer(serializers.ModelSerializer):
    class Meta:
        model = ImageSource
        fields = ("id", "host", "port", "private", "ca", "most_gib", "created_at")


class ChangedImageSource(Input):
    private = Switch(required=False, help_text="It may have an address that is not of the public internet.")
    ca = LongTextField(required=False, allow_blank=True, help_text="In PEM: who signs its certificate.")
    most_gib = WholeNumber(required=False, min_value=1, max_value=MOST_GIB, help_text="Of one image.")


class NewImageSource(ChangedImageSource):
    host = TextField(max_length=253)
    port = WholeNumber(required=False, min_value=1, max_value=65535)


class FetchedImage(Input):
    name = NameField()
    kind = serializers.ChoiceField(choices=Image.Kind.choices)
    storage = Id()
    url = TextField(max_length=LONGEST_URL, help_text="https:// to a server on the list, without a query.")
    format = serializers.ChoiceField(choices=Image.Format.choices, required=False)
    sha256 = TextField(max_length=64, required=False, allow_blank=True, help_text="What the file must have.")
    description = LongTextField(required=False, allow_blank=True)


class ImageSources(Listed, Read, Resource):
    """The servers that images may be fetched from, by HTTPS."""

    serializer_class = ImageSourceSerializer
    ordering = ("host",)
    ordering_fields = ("host", "created_at")

    def rows(self) -> QuerySet[ImageSource]:
        return ImageSource.objects.all()

    def visible(self, rows: QuerySet[ImageSource]) -> QuerySet[ImageSource]:
        return image_sources(self.actor)

    @extend_schema(request=NewImageSource, responses={201: ImageSourceSerializer})
    def create(self, request: Request) -> Response:
        """Allow a server."""
        return self.shown(create_image_source(actor=self.actor, **self.input(NewImageSource)), status=201)

    @extend_schema(request=ChangedImageSource, responses=ImageSourceSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change how it is fetched from."""
        source = self.find()
        return self.shown(edit_image_source(actor=self.actor, source=source, **self.input(ChangedImageSource)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Take it off the list; what was fetched stays."""
        self.nothing()
        delete_image_source(actor=self.actor, source=self.find())
        return Response(status=204)


class FetchImage(Door):
    """Fetch an image."""

    @extend_schema(operation_id="images_fetch", request=FetchedImage, responses={202: JobSerializer})
    def post(self, request: Request) -> Response:
        """Fetch an image from a server on the list; the job's subject is the image."""
        given = FetchedImage(data=request.data)
        given.is_valid(raise_exception=True)
        values = dict(given.validated_data)
        values["storage"] = find(self.actor, StorageDomain, values["storage"])
        job = fetch_image(actor=self.actor, **values)
        headers = {"Location": reverse("api-job-detail", args=(job.pk,))}
        return Response(JobSerializer(job, context={"view": self}).data, status=202, headers=headers)
