"""Backups, where they lie, and when they are made."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find, visible_to
from broker.backups.actions.back_up import back_up
from broker.backups.actions.create_schedule import create_schedule
from broker.backups.actions.create_target import create_target
from broker.backups.actions.delete_backup import delete_backup
from broker.backups.actions.delete_schedule import delete_schedule
from broker.backups.actions.delete_target import delete_target
from broker.backups.actions.edit_schedule import edit_schedule
from broker.backups.actions.restore_as_new import restore_as_new
from broker.backups.actions.restore_backup import restore_backup
from broker.backups.actions.verify_backup import verify_backup
from broker.backups.models import Backup, BackupSchedule, BackupTarget
from broker.backups.queries import schedules_for, targets_for
from broker.backups.states import BackupState
from broker.core.errors import Invalid, Missing
from broker.core.text import gettext_noop as N_
from broker.virt.models import Cluster, Host, StorageDomain, VirtualMachine
from portal.api.base import Listed, Read, Resource, job_verb
from portal.api.fields import Id, Input, NameField, Switch, TextField, WholeNumber
from portal.api.queries import Search, choices
from portal.api.serializers.backups import BackupScheduleSerializer, BackupSerializer, BackupTargetSerializer
from portal.api.serializers.jobs import JobSerializer

MOST_MACHINES = 1000


class NewTarget(Input):
    cluster = Id()
    name = NameField()
    path = TextField(max_length=255, required=False, help_text="A directory of its own, instead of a storage.")
    host = Id(required=False, allow_null=True, help_text="The only host that has the directory; none: all see it.")
    storage = Id(required=False, allow_null=True)


class ChangedSchedule(Input):
    name = NameField(required=False)
    vms = serializers.ListField(child=Id(), max_length=MOST_MACHINES, required=False)
    enabled = Switch(required=False)
    days = serializers.ListField(
        child=WholeNumber(min_value=0, max_value=6), max_length=7, required=False, help_text="0 is Monday."
    )
    at = TextField(max_length=8, required=False, help_text="02:30, by the clocks of `zone`.")
    zone = TextField(max_length=64, required=False)
    full_every = WholeNumber(required=False, min_value=1, max_value=100)
    keep_last = WholeNumber(required=False, min_value=1, max_value=1000)
    keep_daily = WholeNumber(required=False, min_value=0, max_value=366)
    keep_weekly = WholeNumber(required=False, min_value=0, max_value=260)
    keep_monthly = WholeNumber(required=False, min_value=0, max_value=120)


class NewSchedule(ChangedSchedule):
    name = NameField()
    target = Id()


class NewBackup(Input):
    vm = Id()
    target = Id()
    full = Switch(required=False)


class Restore(Input):
    disks = serializers.ListField(child=TextField(max_length=8), max_length=64, required=False)
    start = Switch(required=False)


class RestoreNew(Input):
    storage = Id()
    name = NameField(required=False)
    start = Switch(required=False)


class BackupFilter(filters.FilterSet):
    state = choices(BackupState)
    kind = choices(Backup.Kind)
    vm = filters.UUIDFilter(field_name="vm_key")
    target = filters.UUIDFilter(field_name="target_id")
    search = Search("vm_name")


class Backups(Listed, Read, Resource):
    """Backups of machines."""

    serializer_class = BackupSerializer
    filterset_class = BackupFilter
    ordering = ("-created_at",)
    ordering_fields = ("created_at", "vm_name", "size_bytes")

    def rows(self) -> QuerySet[Backup]:
        return Backup.objects.select_related("target", "schedule").prefetch_related("disks")

    @extend_schema(request=NewBackup, responses={202: JobSerializer})
    def create(self, request: Request) -> Response:
        """Back a machine up; the job's subject is the machine."""
        given = self.input(NewBackup)
        given["vm"] = find(self.actor, VirtualMachine, given["vm"])
        given["target"] = _one(targets_for(self.actor), given["target"], "target")
        return self.accepted(back_up(actor=self.actor, **given))

    @extend_schema(responses={202: JobSerializer})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Delete a backup that no other one builds on."""
        self.nothing()
        return self.accepted(delete_backup(actor=self.actor, backup=self.find()))

    @job_verb("verify")
    def verify(self, request: Request, pk: Any) -> Response:
        """Read its files, compare them with what was written, and restore them into a scratch image."""
        self.nothing()
        return self.accepted(verify_backup(actor=self.actor, backup=self.find()))

    @job_verb("restore", takes=Restore)
    def restore(self, request: Request, pk: Any) -> Response:
        """Give its machine the disks, or some of them, as they were; what is on them now is lost."""
        backup, given = self.find(), self.input(Restore)
        if backup.vm is None:
            raise Missing(N_("The machine of this backup is gone."), fix=N_("Restore it as a new machine."))
        return self.accepted(restore_backup(actor=self.actor, backup=backup, vm=backup.vm, **given))

    @job_verb("restore-as-new", takes=RestoreNew)
    def restore_as_new(self, request: Request, pk: Any) -> Response:
        """Make a machine of it; the job's subject is the new machine."""
        backup, given = self.find(), self.input(RestoreNew)
        given["storage"] = find(self.actor, StorageDomain, given["storage"])
        return self.accepted(restore_as_new(actor=self.actor, backup=backup, **given))


class BackupTargets(Listed, Read, Resource):
    """Where backups lie."""

    serializer_class = BackupTargetSerializer

    def rows(self) -> QuerySet[BackupTarget]:
        return BackupTarget.objects.select_related("cluster", "storage", "host")

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(pk__in=targets_for(self.actor).values("pk"))

    @extend_schema(request=NewTarget, responses={201: BackupTargetSerializer})
    def create(self, request: Request) -> Response:
        """Name a storage or a directory as a place for backups."""
        given = self.input(NewTarget)
        given["cluster"] = find(self.actor, Cluster, given["cluster"])
        for name, model in (("storage", StorageDomain), ("host", Host)):
            given[name] = find(self.actor, model, given[name]) if given.get(name) else None
        return self.shown(create_target(actor=self.actor, **given), status=201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Forget a target that holds no backups."""
        self.nothing()
        delete_target(actor=self.actor, target=self.find())
        return Response(status=204)


class BackupSchedules(Listed, Read, Resource):
    """When machines are backed up, and which backups are kept."""

    serializer_class = BackupScheduleSerializer

    def rows(self) -> QuerySet[BackupSchedule]:
        return BackupSchedule.objects.select_related("target__cluster").prefetch_related("vms")

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(pk__in=schedules_for(self.actor).values("pk"))

    @extend_schema(request=NewSchedule, responses={201: BackupScheduleSerializer})
    def create(self, request: Request) -> Response:
        """Have machines backed up at certain times."""
        given = self._machines(self.input(NewSchedule))
        given["target"] = _one(targets_for(self.actor), given["target"], "target")
        return self.shown(create_schedule(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedSchedule, responses=BackupScheduleSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change it."""
        given = self._machines(self.input(ChangedSchedule))
        return self.shown(edit_schedule(actor=self.actor, schedule=self.find(), **given))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove it; the backups it made stay."""
        self.nothing()
        delete_schedule(actor=self.actor, schedule=self.find())
        return Response(status=204)

    def _machines(self, given: dict[str, Any]) -> dict[str, Any]:
        if "vms" in given:
            wanted = set(given["vms"])
            given["vms"] = list(visible_to(self.actor, VirtualMachine).filter(pk__in=wanted))
            if len(given["vms"]) != len(wanted):
                raise _no_such("vms")
        return given


def _one(rows: QuerySet[Any], pk: Any, field: str) -> Any:
    row = rows.filter(pk=pk).first()
    if row is None:
        raise _no_such(field)
    return row


def _no_such(field: str) -> Invalid:
    return Invalid(N_("There is no such object."), field=field, fix=N_("Choose one from the list."))
