"""Machines changed, run differently for once, cloned and given away; and their network cards."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find, visible_to
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.directories.models import User
from broker.virt.actions.apply_changes import apply_changes
from broker.virt.actions.clone_vm import clone_vm
from broker.virt.actions.create_nic import create_nic
from broker.virt.actions.delete_nic import delete_nic
from broker.virt.actions.edit_nic import edit_nic
from broker.virt.actions.give_vm import give_vm
from broker.virt.actions.run_once import run_once
from broker.virt.actions.undo_changes import undo_changes
from broker.virt.machine_options import KNOWN
from broker.virt.models import Guard, Host, Image, Network, Nic, StorageDomain, VirtualMachine
from portal.api.base import Listed, Read, Resource, job_verb, verb
from portal.api.fields import Id, Input, NameField, Switch, TextField, WholeNumber
from portal.api.queries import LONGEST
from portal.api.serializers.changes import NicSerializer
from portal.api.serializers.virt import VmDetailSerializer
from portal.api.views.cloud_init import CloudInit
from portal.api.views.disks import OfVm, snapshot_of

NOW = "false: keep it for its next start, also where its run could take it."


class Fields(serializers.DictField):
    """Names and values of one's own."""

    def __init__(self, **kwargs: Any):
        super().__init__(child=TextField(max_length=255, allow_blank=True), **kwargs)


class Undo(Input):
    fields = serializers.ListField(  # type: ignore[assignment]
        child=TextField(max_length=64), required=False, allow_null=True, max_length=64
    )


class Once(Input):
    boot = serializers.ChoiceField(
        choices=[value for value, _ in KNOWN["boot"].choices], required=False, help_text="Left out: as ever."
    )
    host = Id(required=False, allow_null=True, help_text="Where it starts.")
    cd = Id(required=False, allow_null=True, help_text="A CD of the library, in its drive and booted from.")
    cloud_init_again = Switch(required=False, help_text="Its guest takes this start for its first one.")
    cloud_init = CloudInit(required=False, help_text="As the last, and what it is told then in place of what it was.")


class Clone(Input):
    name = NameField()
    title = TextField(required=False, allow_blank=True)
    snapshot = Id(required=False, allow_null=True, help_text="One of the machine's: its disks as they were then.")
    storage = Id(required=False, allow_null=True, help_text="null: where the originals of its disks are.")
    seal = Switch(required=False, help_text="Take out what makes the original itself: host keys, machine id, logs.")
    start = Switch(required=False)


class Gift(Input):
    owner = Id(allow_null=True, help_text="A user; null: nobody.")


class NotedFilter(filters.FilterSet):
    """Filters on what people noted on machines."""

    owner = filters.UUIDFilter(field_name="owner_id")
    protected = filters.BooleanFilter()
    changed = filters.BooleanFilter(
        field_name="pending", lookup_expr="isnull", exclude=True, help_text="Something waits for its next start."
    )
    tag = filters.CharFilter(method="by_tag", max_length=LONGEST)
    own_field = filters.CharFilter(
        method="by_field", max_length=400, help_text="A field's name, or its name and value: cost-centre:4711."
    )

    def by_tag(self, rows: QuerySet[VirtualMachine], name: str, value: str) -> QuerySet[VirtualMachine]:
        return rows.filter(tags__name=value)

    def by_field(self, rows: QuerySet[VirtualMachine], name: str, value: str) -> QuerySet[VirtualMachine]:
        field, colon, wanted = value.partition(":")
        return rows.filter(own_fields__name=field, **({"own_fields__value": wanted} if colon else {}))


class Changing(Resource):
    """Mixed into the machines."""

    @job_verb("apply-changes")
    def apply_changes(self, request: Request, pk: Any) -> Response:
        """Try again to give the run what waits for the next start."""
        self.nothing()
        return self.accepted(apply_changes(actor=self.actor, vm=self.find()))

    @verb("undo-changes", takes=Undo, gives=VmDetailSerializer)
    def undo_changes(self, request: Request, pk: Any) -> Response:
        """Forget what waits for its next start: all of it, or some `fields`."""
        return self.shown(undo_changes(actor=self.actor, vm=self.find(), **self.input(Undo)))

    @job_verb("run-once", takes=Once)
    def run_once(self, request: Request, pk: Any) -> Response:
        """Start it differently for this run only: from another device, on another host, as cloud-init's first start."""
        given = self.input(Once)
        given["host"] = find(self.actor, Host, given["host"]) if given.get("host") else None
        given["cd"] = find(self.actor, Image, given["cd"], "image.view") if given.get("cd") else None
        return self.accepted(run_once(actor=self.actor, vm=self.find(), **given))

    @job_verb("clone", takes=Clone)
    def clone(self, request: Request, pk: Any) -> Response:
        """Make a full copy of a machine that is off, or of its snapshot; the job's subject is the copy."""
        vm, given = self.find(), self.input(Clone)
        given["snapshot"] = snapshot_of(vm, given.get("snapshot"))
        given["storage"] = find(self.actor, StorageDomain, given["storage"]) if given.get("storage") else None
        return self.accepted(clone_vm(actor=self.actor, vm=vm, **given))

    @verb("give", takes=Gift, gives=VmDetailSerializer)
    def give(self, request: Request, pk: Any) -> Response:
        """Make it somebody else's."""
        owner = self.input(Gift)["owner"]
        person = visible_to(self.actor, User, "user.view").filter(pk=owner).first() if owner else None
        if owner and person is None:
            raise Invalid(N_("There is no such person."), field="owner", fix=N_("Choose one that you can see."))
        return self.shown(give_vm(actor=self.actor, vm=self.find(), owner=person))


class NewNic(Input):
    network = Id()
    mac = TextField(max_length=17, required=False, allow_blank=True, help_text="Left out: one is made.")
    model = serializers.ChoiceField(choices=Nic.Model.choices, required=False)
    connected = Switch(required=False, help_text="Whether its cable is in.")
    in_kib = WholeNumber(required=False, min_value=0, max_value=2**31 - 1, help_text="Most KiB a second in; 0: any.")
    out_kib = WholeNumber(required=False, min_value=0, max_value=2**31 - 1, help_text="Most KiB a second out; 0: any.")
    guard = serializers.ChoiceField(
        choices=Guard.choices,
        required=False,
        allow_blank=True,
        help_text="What it may send as; empty: its network's.",
    )
    now = Switch(required=False, help_text=NOW)


class ChangedNic(NewNic):
    network = Id(required=False)
    mac = None  # type: ignore[assignment]


class Nics(Listed, Read, OfVm):
    """The network cards of a machine. One that is not `plugged` comes with its next start."""

    serializer_class = NicSerializer
    ordering = ("order",)
    ordering_fields = ("order", "mac")

    def rows(self) -> QuerySet[Nic]:
        return Nic.objects.select_related("network", "vm")

    def list(self, request: Request, vm_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)

    def retrieve(self, request: Request, vm_pk: Any, pk: Any) -> Response:  # type: ignore[override]
        return super().retrieve(request, pk)

    @extend_schema(request=NewNic, responses={201: NicSerializer})
    def create(self, request: Request, vm_pk: Any) -> Response:
        """One more card; into a running machine a job plugs it."""
        given = self.input(NewNic)
        given["network"] = find(self.actor, Network, given["network"])
        return self.shown(create_nic(actor=self.actor, vm=self.vm(), **given), status=201)

    @extend_schema(request=ChangedNic, responses=NicSerializer)
    def partial_update(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Change it; of a running machine by a job, or at its next start where its run cannot have it."""
        given = self.input(ChangedNic)
        if given.get("network"):
            given["network"] = find(self.actor, Network, given["network"])
        return self.shown(edit_nic(actor=self.actor, nic=self.find(), **given))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, vm_pk: Any, pk: Any) -> Response:
        """Take it out; a running guest is asked to let it go."""
        self.nothing()
        delete_nic(actor=self.actor, nic=self.find())
        return Response(status=204)
