"""Where disks live: storage domains."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.events.record import subject_kind
from broker.virt import storage_found
from broker.virt.actions.activate_storage import activate_storage
from broker.virt.actions.adopt_file import adopt_file
from broker.virt.actions.create_storage import create_storage
from broker.virt.actions.delete_storage import delete_storage
from broker.virt.actions.detach_storage import detach_storage
from broker.virt.actions.edit_storage import edit_storage
from broker.virt.actions.evacuate_storage import evacuate_storage
from broker.virt.actions.import_found import import_found
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.actions.take_storage import take_storage
from broker.virt.actions.tidy_storage import MOST, tidy_storage
from broker.virt.models import Cluster, Host, StorageDomain
from broker.virt.states import StorageState
from broker.virt.storage_rules import MOST_LUN
from portal.api.base import Listed, Read, Resource, job_verb, verb
from portal.api.fields import Id, Input, NameField, Switch, TextField, WholeNumber
from portal.api.queries import choices
from portal.api.serializers.virt import StorageDomainSerializer

from .virt import InCluster


class Mount(Input):
    """How hosts mount an NFS share; what is left out stays, or is as usual."""

    hard = Switch(required=False, help_text="Wait for the server for ever; else its machines are paused.")
    timeo = WholeNumber(required=False, min_value=10, max_value=6000, help_text="Tenths of a second; 100 as usual.")
    retrans = WholeNumber(required=False, min_value=1, max_value=30, help_text="How often it is asked again; 3.")
    port = WholeNumber(required=False, min_value=0, max_value=65535, help_text="0: the usual one.")


class NewStorage(Input):
    cluster = Id()
    name = NameField()
    kind = serializers.ChoiceField(choices=StorageDomain.Kind.choices, required=False)
    path = TextField(
        max_length=255, required=False, help_text="The directory on the hosts; for a share it may be left out."
    )
    server = TextField(
        max_length=255, required=False,
        help_text="Of an NFS share: host name or IP address. Of iSCSI: portals with commas between them.",
    )  # fmt: skip
    export = TextField(
        max_length=255, required=False,
        help_text="Of an NFS share: the path on its server. Of iSCSI: the target's name.",
    )  # fmt: skip
    version = TextField(max_length=4, required=False, help_text="Of NFS; left out: what server and hosts agree on.")
    mount = Mount(required=False)
    luns = serializers.ListField(
        child=WholeNumber(min_value=0, max_value=MOST_LUN), required=False, max_length=512,
        help_text="Of iSCSI: which LUNs are used, the lowest for Berth's own table; left out: all.",
    )  # fmt: skip
    user = TextField(max_length=223, required=False, help_text="Of iSCSI: CHAP's user.")
    password = TextField(max_length=255, required=False, write_only=True, help_text="Of iSCSI: CHAP's password.")
    host = Id(
        required=False, allow_null=True, help_text="The only host that has the directory; none: all see the same."
    )
    wipe_after_delete = Switch(
        required=False, help_text="What is deleted there is overwritten first, unless a disk says otherwise."
    )


class ChangedStorage(Input):
    name = NameField(required=False)
    warning_percent = WholeNumber(
        required=False, min_value=0, max_value=95, help_text="Free space at which people are warned."
    )
    critical_percent = WholeNumber(
        required=False, min_value=0, max_value=95, help_text="Free space at which nothing new is put on it."
    )
    mount = Mount(required=False, help_text="Of NFS, while the storage is in maintenance.")
    wipe_after_delete = Switch(
        required=False, help_text="What is deleted there is overwritten first, unless a disk says otherwise."
    )


class FoundSerializer(serializers.Serializer):
    """What lies on the storage and is not here yet."""

    kind = serializers.ChoiceField(choices=["vm", "template-version"])
    id = serializers.UUIDField()
    name = serializers.CharField()


class WantedFound(Input):
    id = Id()
    name = NameField(required=False, help_text="What it is called here; left out: as before.")


class ImportedSerializer(serializers.Serializer):
    kind = serializers.ChoiceField(choices=["vm", "template-version"])
    id = serializers.UUIDField()
    name = serializers.CharField()


class LeftOver(Input):
    remove = serializers.ListField(
        child=TextField(max_length=200), required=False, max_length=MOST, help_text="Names that an earlier look found."
    )


class AdoptedFile(Input):
    file = TextField(max_length=200, help_text="A name that a look for left-over files found.")
    name = TextField(max_length=128, required=False, allow_blank=True, help_text="What the disk is called.")


class StorageFilter(InCluster):
    state = choices(StorageState)


class Target(Input):
    target = Id(help_text="The storage that takes the disks.")


class StorageDomains(Listed, Read, Resource):
    """Where disks live."""

    serializer_class = StorageDomainSerializer
    filterset_class = StorageFilter
    ordering_fields = ("name", "available_bytes")

    def rows(self) -> QuerySet[StorageDomain]:
        return StorageDomain.objects.select_related("cluster", "host")

    @extend_schema(request=NewStorage, responses={201: StorageDomainSerializer})
    def create(self, request: Request) -> Response:
        """Make a storage domain of a directory, an NFS share or iSCSI LUNs."""
        given = self.input(NewStorage)
        given["cluster"] = find(self.actor, Cluster, given["cluster"])
        given["host"] = find(self.actor, Host, given["host"]) if given.get("host") else None
        return self.shown(create_storage(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedStorage, responses=StorageDomainSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Rename it, or say how full it may get."""
        return self.shown(edit_storage(actor=self.actor, storage=self.find(), **self.input(ChangedStorage)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Forget a storage domain that nothing uses; its files stay."""
        self.nothing()
        delete_storage(actor=self.actor, storage=self.find())
        return Response(status=204)

    @verb("maintain", gives=StorageDomainSerializer)
    def maintain(self, request: Request, pk: Any) -> Response:
        """Make nothing on it and start no machine from it any more; refused while machines use it."""
        self.nothing()
        return self.shown(maintain_storage(actor=self.actor, storage=self.find()))

    @job_verb("evacuate", takes=Target)
    def evacuate(self, request: Request, pk: Any) -> Response:
        """Move the disks of all machines to another storage while they run, then put this one into maintenance."""
        target = find(self.actor, StorageDomain, self.input(Target)["target"])
        return self.accepted(evacuate_storage(actor=self.actor, storage=self.find(), target=target))

    @verb("activate", gives=StorageDomainSerializer)
    def activate(self, request: Request, pk: Any) -> Response:
        """Put it back into service."""
        self.nothing()
        return self.shown(activate_storage(actor=self.actor, storage=self.find()))

    @extend_schema(responses=FoundSerializer(many=True), filters=False)
    @action(detail=True, methods=["get"], pagination_class=None, filterset_class=None)
    def found(self, request: Request, pk: Any) -> Response:
        """Machines and template versions that lie on it, as its own notes say, and are not here yet."""
        return Response(FoundSerializer(storage_found.on(self.find()), many=True).data)

    @verb("import", takes=WantedFound, gives=ImportedSerializer, status=201)
    def import_found(self, request: Request, pk: Any) -> Response:
        """Take in a machine or template version that was found on it; its disks stay where they are."""
        given = self.input(WantedFound)
        row = import_found(actor=self.actor, storage=self.find(), found=given["id"], name=given.get("name", ""))
        told = {"kind": subject_kind(row), "id": row.pk, "name": str(row)}
        return Response(ImportedSerializer(told).data, status=201)

    @verb("take-over", gives=StorageDomainSerializer)
    def take_over(self, request: Request, pk: Any) -> Response:
        """Use it although its notes say that another Berth does; only when that one is gone for good."""
        self.nothing()
        return self.shown(take_storage(actor=self.actor, storage=self.find()))

    @job_verb("tidy", takes=LeftOver)
    def tidy(self, request: Request, pk: Any) -> Response:
        """Look for files that nothing refers to, and remove those that are named; the job's args tell at its end."""
        return self.accepted(tidy_storage(actor=self.actor, storage=self.find(), **self.input(LeftOver)))

    @job_verb("adopt-file", takes=AdoptedFile)
    def adopt_file(self, request: Request, pk: Any) -> Response:
        """Make a disk of no machine of a left-over file; the job's args name the disk."""
        return self.accepted(adopt_file(actor=self.actor, storage=self.find(), **self.input(AdoptedFile)))

    @job_verb("detach")
    def detach(self, request: Request, pk: Any) -> Response:
        """Let it go with the machines and templates on it, so that another Berth can take it in."""
        self.nothing()
        return self.accepted(detach_storage(actor=self.actor, storage=self.find()))
