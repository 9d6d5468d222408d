"""The disks of a machine and its snapshots."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.virt.actions.convert_disk import FORMATS, convert_disk
from broker.virt.actions.create_disk import create_disk
from broker.virt.actions.delete_disk import delete_disk
from broker.virt.actions.delete_snapshot import delete_snapshot
from broker.virt.actions.detach_disk import detach_disk
from broker.virt.actions.edit_disk import edit_disk
from broker.virt.actions.grow_disk import grow_disk
from broker.virt.actions.limit_disk import MOST, limit_disk
from broker.virt.actions.move_disks import MOST_MIB
from broker.virt.actions.preview_snapshot import preview_snapshot
from broker.virt.actions.revert_snapshot import revert_snapshot
from broker.virt.actions.take_snapshot import take_snapshot
from broker.virt.driver import DiskLimits
from broker.virt.models import Disk, Snapshot, StorageDomain, VirtualMachine
from broker.virt.models.disk import Wipe
from portal.api.base import Listed, Read, Resource, job_verb
from portal.api.fields import Id, Input, LongTextField, Switch, TextField, WholeNumber
from portal.api.serializers.disks import SnapshotSerializer, VmDiskSerializer
from portal.api.serializers.jobs import JobSerializer

LARGEST = 64 << 40
WIPED = "Whether its images are overwritten with zeroes before they are deleted."


class NewDisk(Input):
    size_bytes = WholeNumber(min_value=1 << 20, max_value=LARGEST)
    storage = Id(required=False, allow_null=True, help_text="null: where its first disk is.")
    wipe_after_delete = serializers.ChoiceField(choices=Wipe.choices, required=False, help_text=WIPED)


class LargerDisk(Input):
    size_bytes = WholeNumber(min_value=1 << 20, max_value=LARGEST)


class ChangedDisk(Input):
    read_only = Switch(  # type: ignore[assignment]
        required=False, help_text="The guest cannot write to it."
    )
    discard = serializers.ChoiceField(
        choices=Disk.Discard.choices, required=False, help_text="What becomes of what the guest discards."
    )
    detect_zeroes = serializers.ChoiceField(
        choices=Disk.Zeroes.choices, required=False, help_text="What becomes of zeroes that the guest writes."
    )
    wipe_after_delete = serializers.ChoiceField(choices=Wipe.choices, required=False, help_text=WIPED)


class Limits(Input):
    total_bytes = WholeNumber(required=False, min_value=0, max_value=MOST)
    read_bytes = WholeNumber(required=False, min_value=0, max_value=MOST)
    write_bytes = WholeNumber(required=False, min_value=0, max_value=MOST)
    total_iops = WholeNumber(required=False, min_value=0, max_value=MOST)
    read_iops = WholeNumber(required=False, min_value=0, max_value=MOST)
    write_iops = WholeNumber(required=False, min_value=0, max_value=MOST)


class Conversion(Input):
    image_format = serializers.ChoiceField(choices=FORMATS)
    bandwidth_mib = WholeNumber(
        required=False, min_value=0, max_value=MOST_MIB, help_text="While it runs, at most so many MiB a second."
    )


class Detached(Input):
    name = TextField(max_length=128, required=False, allow_blank=True, help_text="What it is called then.")


class NewSnapshot(Input):
    name = TextField(max_length=64)
    description = LongTextField(required=False, allow_blank=True)
    disks = serializers.ListField(
        child=Id(), required=False, allow_null=True, max_length=64, help_text="null: all of the machine."
    )
    memory = Switch(required=False, help_text="Of a running machine, so that it can go on from there.")
    quiesce = Switch(required=False, help_text="Have the guest agent settle its file systems first.")


class Back(Input):
    start = Switch(required=False, help_text="Start it afterwards; one with memory goes on anyway.")


class Look(Input):
    memory = Switch(required=False, help_text="Go on where it was, if the snapshot has its memory.")
    start = Switch(required=False, help_text="Else start it.")


class OfVm(Resource):
    """What belongs to the machine in the address, for those who see that."""

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(vm=self.vm())

    def vm(self) -> VirtualMachine:
        return find(self.actor, VirtualMachine, self.kwargs["vm_pk"])


class Disks(Listed, Read, OfVm):
    """The disks of a machine."""

    serializer_class = VmDiskSerializer
    ordering = ("order",)
    ordering_fields = ("order", "target", "size_bytes")

    def rows(self) -> QuerySet[Disk]:
        return Disk.objects.select_related("storage", "vm")

    def list(self, request: Request, vm_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)

    def retrieve(self, request: Request, vm_pk: Any, pk: Any) -> Response:  # type: ignore[override]
        return super().retrieve(request, pk)

    @extend_schema(request=NewDisk, responses={202: JobSerializer})
    def create(self, request: Request, vm_pk: Any) -> Response:
        """Make a blank disk and plug it in, also while the machine runs; the job's argument is the disk."""
        given = self.input(NewDisk)
        if given.get("storage"):
            given["storage"] = find(self.actor, StorageDomain, given["storage"])
        return self.accepted(create_disk(actor=self.actor, vm=self.vm(), **given))

    @extend_schema(request=ChangedDisk, responses=VmDiskSerializer)
    def partial_update(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Change how it is written to, of a running machine at its next start; and whether it is wiped, at once."""
        return self.shown(edit_disk(actor=self.actor, disk=self.find(), **self.input(ChangedDisk)))

    @extend_schema(responses={202: JobSerializer})
    def destroy(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Have the guest let the disk go, and delete it."""
        self.nothing()
        return self.accepted(delete_disk(actor=self.actor, disk=self.find()))

    @job_verb("grow", takes=LargerDisk)
    def grow(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Make it larger, also while the machine runs."""
        return self.accepted(grow_disk(actor=self.actor, disk=self.find(), **self.input(LargerDisk)))

    @job_verb("limit", takes=Limits)
    def limit(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Say how much of it the guest gets a second, also while it runs; what is left out has no limit."""
        limits = DiskLimits(**self.input(Limits))
        return self.accepted(limit_disk(actor=self.actor, disk=self.find(), limits=limits))

    @job_verb("convert", takes=Conversion)
    def convert(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Write its image anew in the other format, also while the machine runs."""
        return self.accepted(convert_disk(actor=self.actor, disk=self.find(), **self.input(Conversion)))

    @job_verb("detach", takes=Detached)
    def detach(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Have the guest let the disk go, and keep it as one of no machine, under the same id."""
        return self.accepted(detach_disk(actor=self.actor, disk=self.find(), **self.input(Detached)))


class Snapshots(Listed, Read, OfVm):
    """The snapshots of a machine, as a tree by `parent`."""

    serializer_class = SnapshotSerializer
    ordering = ("created_at",)
    ordering_fields = ("created_at", "name")

    def rows(self) -> QuerySet[Snapshot]:
        return Snapshot.objects.select_related("vm", "parent").prefetch_related("disks", "previews")

    def list(self, request: Request, vm_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)

    def retrieve(self, request: Request, vm_pk: Any, pk: Any) -> Response:  # type: ignore[override]
        return super().retrieve(request, pk)

    @extend_schema(request=NewSnapshot, responses={202: JobSerializer})
    def create(self, request: Request, vm_pk: Any) -> Response:
        """Take a snapshot; the job's argument is its id, under which it is found once it was taken."""
        vm, given = self.vm(), self.input(NewSnapshot)
        if given.get("disks") is not None:
            given["disks"] = [_disk_of(vm, pk) for pk in given["disks"]]
        return self.accepted(take_snapshot(actor=self.actor, vm=vm, **given))

    @extend_schema(responses={202: JobSerializer})
    def destroy(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Delete it; the machine's disks stay as they are."""
        self.nothing()
        return self.accepted(delete_snapshot(actor=self.actor, snapshot=self.find()))

    @job_verb("revert", takes=Back)
    def revert(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Put the machine back to it; what was written since is lost."""
        return self.accepted(revert_snapshot(actor=self.actor, snapshot=self.find(), **self.input(Back)))

    @job_verb("preview", takes=Look)
    def preview(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Have the machine look at it; what it had is set aside until commit-preview or undo-preview."""
        return self.accepted(preview_snapshot(actor=self.actor, snapshot=self.find(), **self.input(Look)))


def _disk_of(vm: VirtualMachine, pk: Any) -> Disk:
    disk = vm.disks.filter(pk=pk).first()
    if disk is None:
        raise Invalid(N_("These are not disks of this machine."), field="disks", fix=N_("Choose some of its disks."))
    return disk


def snapshot_of(vm: VirtualMachine, pk: Any) -> Snapshot | None:
    """The machine's snapshot that an input names, None for none; raises Invalid for one it does not have."""
    if pk is None:
        return None
    snapshot: Snapshot | None = vm.snapshots.filter(pk=pk).first()
    if snapshot is None:
        raise Invalid(
            N_("%(machine)s has no such snapshot."), field="snapshot", fix=N_("Choose one of its snapshots."),
            machine=vm.name,
        )  # fmt: skip
    return snapshot
