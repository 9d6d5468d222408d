"""Where users come from, and what settings would yield before they are saved."""

import base64
from typing import Any

from django.db.models import Count, QuerySet
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.directories.actions.create_directory import create_directory
from broker.directories.actions.delete_directory import delete_directory
from broker.directories.actions.edit_directory import edit_directory
from broker.directories.actions.preview_directory import LONGEST_NAME, preview_directory
from broker.directories.actions.sync_directory import sync_directory
from broker.directories.kerberos.keytab import LARGEST
from broker.directories.models import Directory
from portal.api.base import Door, Listed, Read, Resource, verb
from portal.api.fields import Id, Input, Switch, TextField, WholeNumber
from portal.api.problems import ProblemSerializer
from portal.api.serializers.directories import DirectorySerializer, PreviewSerializer
from portal.directory_preview import told


class Password(serializers.CharField):
    """What Berth itself signs in to the directory with; it never comes back."""

    def __init__(self, **kwargs: Any):
        super().__init__(max_length=1024, trim_whitespace=False, allow_blank=True, write_only=True, **kwargs)


class Keytab(serializers.CharField):
    """By which tickets of Kerberos are read: the file in base64. It never comes back."""

    def __init__(self, **kwargs: Any):
        super().__init__(
            max_length=2 * LARGEST, allow_blank=True, write_only=True, required=False,
            help_text="A keytab in base64; without it the stored one stays, an empty one forgets it.", **kwargs,
        )  # fmt: skip

    def to_internal_value(self, data: Any) -> Any:
        try:
            return base64.b64decode(super().to_internal_value(data), validate=True)
        except ValueError:
            raise serializers.ValidationError(_("This is not base64.")) from None


class Config(serializers.DictField):
    """The settings of the kind; which there are, and what they must be like, is judged by the kind."""

    def __init__(self, **kwargs: Any):
        super().__init__(help_text="The settings of the kind; see the administrator's guide.", **kwargs)


GUEST_NAME = "What its people are called in guests: {login}, {name}, {realm}; empty: nobody is signed on there."


class NewDirectory(Input):
    name = TextField(max_length=64)
    kind = serializers.SlugField(max_length=32)
    config = Config(required=False)
    password = Password(required=False)
    keytab = Keytab()
    order = WholeNumber(required=False, min_value=0, max_value=32767)
    enabled = Switch(required=False)
    second_factor = Switch(required=False, help_text="Its people have to sign in with a second factor.")
    guest_name = TextField(max_length=128, required=False, allow_blank=True, help_text=GUEST_NAME)


class ChangedDirectory(Input):
    """Without `password` the stored one stays; it must come along when the servers change."""

    name = TextField(max_length=64, required=False)
    config = Config(required=False)
    password = Password(required=False)
    keytab = Keytab()
    order = WholeNumber(required=False, min_value=0, max_value=32767)
    enabled = Switch(required=False)
    second_factor = Switch(required=False, help_text="Its people have to sign in with a second factor.")
    guest_name = TextField(max_length=128, required=False, allow_blank=True, help_text=GUEST_NAME)


class AskedPreview(Input):
    """`directory`: the one whose stored password is used when none is given."""

    kind = serializers.SlugField(max_length=32)
    config = Config()
    password = Password(required=False)
    keytab = Keytab()
    directory = Id(required=False, allow_null=True)
    username = TextField(max_length=LONGEST_NAME, required=False, allow_blank=True)


class Sync(Input):
    accept_removals = Switch(
        required=False, help_text="Take over what was held back because so much is gone from the directory at once."
    )


class Directories(Listed, Read, Resource):
    """Directories in the order they are asked. Only who may look at the whole system sees them."""

    serializer_class = DirectorySerializer
    ordering = ("order", "name")
    ordering_fields = ("order", "name")

    def rows(self) -> QuerySet[Directory]:
        return Directory.objects.annotate(
            user_count=Count("users", distinct=True), group_count=Count("groups", distinct=True)
        )

    @extend_schema(request=NewDirectory, responses={201: DirectorySerializer})
    def create(self, request: Request) -> Response:
        """Let users come from another directory. It is not asked now: that is what the preview is for."""
        return self.shown(create_directory(actor=self.actor, **self.input(NewDirectory)), status=201)

    @extend_schema(request=ChangedDirectory, responses=DirectorySerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change where and how a directory is asked, or its place in the order."""
        return self.shown(edit_directory(actor=self.actor, directory=self.find(), **self.input(ChangedDirectory)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Forget a directory with its users and groups."""
        self.nothing()
        delete_directory(actor=self.actor, directory=self.find())
        return Response(status=204)

    @verb("sync", takes=Sync, gives=DirectorySerializer)
    def sync(self, request: Request, pk: Any) -> Response:
        """Read users and groups anew at once."""
        return self.shown(sync_directory(actor=self.actor, directory=self.find(), **self.input(Sync)))


class DirectoryPreview(Door):
    """What settings would yield: asks the directory, writes nothing but that it was asked."""

    @extend_schema(
        request=AskedPreview,
        responses={200: PreviewSerializer, 400: ProblemSerializer, 403: ProblemSerializer, 404: ProblemSerializer},
    )
    def post(self, request: Request) -> Response:
        """Try settings out: can Berth sign in, whom does it find, and what would one user get."""
        body = AskedPreview(data=request.data)
        body.is_valid(raise_exception=True)
        given = dict(body.validated_data)
        pk = given.pop("directory", None)
        directory = find(self.actor, Directory, pk) if pk else None
        answer = preview_directory(actor=self.actor, directory=directory, **given)
        return Response(PreviewSerializer(told(answer, directory)).data)
