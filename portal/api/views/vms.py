"""Machines: list, make, change, power, console, load."""

from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.connections.actions.issue_ticket import issue_ticket
from broker.connections.finding import found, helps
from broker.connections.rdp_login import RdpLogin
from broker.virt.actions.create_vm import create_vm
from broker.virt.actions.delete_vm import delete_vm
from broker.virt.actions.edit_vm import edit_vm
from broker.virt.actions.pause_vm import pause_vm
from broker.virt.actions.power_off_vm import power_off_vm
from broker.virt.actions.reboot_vm import reboot_vm
from broker.virt.actions.reset_disks import reset_disks
from broker.virt.actions.reset_vm import reset_vm
from broker.virt.actions.resume_vm import resume_vm
from broker.virt.actions.shutdown_vm import shutdown_vm
from broker.virt.actions.start_vm import start_vm
from broker.virt.actions.suspend_vm import suspend_vm
from broker.virt.autostart import LAST, LONGEST_DELAY
from broker.virt.driver import PowerState
from broker.virt.instance_types import instance_types
from broker.virt.machine_options import SCREENS
from broker.virt.models import Image, Network, Nic, StorageDomain, TemplateVersion, VirtualMachine
from broker.virt.search import search
from broker.virt.search.language import LONGEST
from broker.virt.states import VmState
from portal.api.active import with_active_job
from portal.api.base import Listed, Read, Resource, job_verb, verb
from portal.api.fields import Id, Input, Labels, LongTextField, NameField, Switch, TextField, WholeNumber
from portal.api.machine_fields import MachineOptions
from portal.api.queries import choices
from portal.api.serializers.connections import TicketSerializer
from portal.api.serializers.jobs import JobSerializer
from portal.api.serializers.virt import SampleSerializer, VmDetailSerializer, VmSerializer
from portal.api.views.cds import ChangingCd
from portal.api.views.changes import NOW, Changing, Fields, NotedFilter
from portal.api.views.cloud_init import CloudInit
from portal.api.views.disk_moves import MovingDisks
from portal.api.views.migrations import Moving
from portal.api.views.versions import Copying

MOST_SAMPLES = 1000


class Screens(serializers.ListField):
    """VNC, SPICE or both."""

    def __init__(self, **kwargs: Any):
        super().__init__(child=serializers.ChoiceField(choices=SCREENS), min_length=1, max_length=2, **kwargs)


class NewVm(Input):
    name = NameField()
    version = Id(required=False, allow_null=True, help_text="A ready template version; or an image, or a blank disk.")
    image = Id(required=False, allow_null=True, help_text="A disk of the library, copied.")
    disk_bytes = WholeNumber(
        required=False, allow_null=True, min_value=1 << 20, max_value=64 << 40,
        help_text="Of a blank disk, or how large the image's copy is made.",
    )  # fmt: skip
    cd = Id(required=False, allow_null=True, help_text="A CD of the library, put into its drive.")
    machine = serializers.ChoiceField(choices=["q35", "pc"], required=False, help_text="Its type, without a template.")
    storage = Id(required=False, allow_null=True)
    network = Id(required=False, allow_null=True)
    card = serializers.ChoiceField(choices=Nic.Model.choices, required=False, help_text="The model of its card there.")
    title = TextField(required=False, allow_blank=True)
    description = LongTextField(required=False, allow_blank=True)
    instance_type = Id(required=False, allow_null=True, help_text="Its size, where nothing else is said.")
    vcpus = WholeNumber(required=False, min_value=1, max_value=512)
    memory_mib = WholeNumber(required=False, min_value=1, max_value=2**31 - 1)
    linked = Switch(required=False, help_text="true: an overlay on the template's image; false: a full copy.")
    start = Switch(required=False)
    graphics = Screens(required=False, help_text="Left out: as the template has them, else VNC.")
    options = MachineOptions(required=False, help_text="Its hardware.")
    cloud_init = CloudInit(required=False, help_text="What its guest is told at its first start.")


class ChangedVm(Input):
    name = NameField(required=False, help_text="Only while it is off.")
    title = TextField(required=False, allow_blank=True)
    description = LongTextField(required=False, allow_blank=True)
    instance_type = Id(required=False, help_text="Its size, where nothing else is said.")
    vcpus = WholeNumber(required=False, min_value=1, max_value=512)
    memory_mib = WholeNumber(required=False, min_value=1, max_value=2**31 - 1)
    protected = Switch(required=False, help_text="Refuse to delete it.")
    available = Switch(required=False, help_text="Restart it on another host when its own dies.")
    leased = Switch(required=False, help_text="Guarded by its host's lease on storage, whose end allows a restart.")
    on_error = serializers.ChoiceField(
        choices=VirtualMachine.OnError.choices, required=False,
        help_text="What is done when a disk is full or fails. To and from report: at its next start.",
    )  # fmt: skip
    autostart = Switch(required=False, help_text="Start it when its host was rebooted, also if it was off.")
    autostart_order = WholeNumber(required=False, min_value=0, max_value=LAST, help_text="The lower, the sooner.")
    autostart_delay = WholeNumber(
        required=False, min_value=0, max_value=LONGEST_DELAY,
        help_text="Seconds that machines of a higher order wait after its start.",
    )  # fmt: skip
    priority = WholeNumber(required=False, min_value=0, max_value=100, help_text="The higher, the sooner restarted.")
    labels = Labels(required=False)
    notes = LongTextField(required=False, allow_blank=True, max_length=10000)
    tags = Labels(required=False, help_text="All of them: those left out are taken off.")
    own_fields = Fields(required=False, help_text="All of them: those left out are taken off.")
    graphics = Screens(required=False, help_text="Only while it is off.")
    options = MachineOptions(required=False, help_text="Its hardware; those left out stay.")
    now = Switch(required=False, help_text=NOW)


class ShutDown(Input):
    agent_after = WholeNumber(
        required=False, min_value=0, max_value=3600, help_text="Seconds until the guest agent is asked."
    )
    give_up_after = WholeNumber(required=False, min_value=1, max_value=3600)


class FreshDisks(Input):
    version = Id(required=False, allow_null=True)
    start = Switch(required=False)


class RemoteDesktop(Input):
    username = serializers.CharField(max_length=256, help_text="As the desktop knows it.")
    password = serializers.CharField(max_length=256, write_only=True, trim_whitespace=False)
    width = WholeNumber(required=False, min_value=640, max_value=3840)
    height = WholeNumber(required=False, min_value=480, max_value=2160)


class Console(Input):
    kind = serializers.ChoiceField(choices=["vnc", "rdp"], required=False)
    login = RemoteDesktop(required=False, help_text="For rdp: who signs in at the desktop.")
    view_only = Switch(required=False)
    take_over = Switch(required=False, help_text="Close the screen on your other devices; 409 open-elsewhere without.")
    help = Id(required=False, allow_null=True, help_text="The consent to see another person's screen.")


class VmFilter(NotedFilter):
    state = choices(VmState)
    power_state = choices(PowerState)
    cluster = filters.UUIDFilter(field_name="cluster_id")
    host = filters.UUIDFilter(field_name="host_id", method="by_host")
    template = filters.UUIDFilter(field_name="template_version__template_id")
    pool = filters.UUIDFilter(field_name="desktop__pool_id")
    in_pool = filters.BooleanFilter(field_name="desktop", lookup_expr="isnull", exclude=True)
    search = filters.CharFilter(max_length=LONGEST, method="by_search", help_text="In the search language.")

    def by_host(self, rows: QuerySet[VirtualMachine], name: str, value: Any) -> QuerySet[VirtualMachine]:
        from broker.access.require import may

        return (
            rows.filter(host_id=value) if may(self.request.parser_context["view"].actor, "host.view") else rows.none()
        )

    def by_search(self, rows: QuerySet[VirtualMachine], name: str, value: str) -> QuerySet[VirtualMachine]:
        view = self.request.parser_context["view"]
        found = search(view.actor, value)
        # An order in the search is the usual one; ?ordering= goes before it.
        view.ordering = found.order or view.ordering
        return rows.filter(found.condition)


class Vms(Listed, Read, Copying, Moving, MovingDisks, Changing, ChangingCd):
    """Machines."""

    serializer_class = VmSerializer
    detail_serializer_class = VmDetailSerializer
    filterset_class = VmFilter
    ordering_fields = ("name", "title", "state", "power_state", "created_at", "vcpus", "memory_mib", "cpu_percent")
    secret_answers = frozenset({"console_ticket"})

    def rows(self) -> QuerySet[VirtualMachine]:
        rows = with_active_job(VirtualMachine.objects.all(), "vm")
        rows = rows.select_related(
            "cluster", "host", "instance_type", "template_version__template", "desktop__pool", "owner"
        )
        rows = rows.prefetch_related("tags", "own_fields")
        return rows if self.action == "list" else rows.prefetch_related("disks", "nics__network")

    @extend_schema(request=NewVm, responses={202: JobSerializer})
    def create(self, request: Request) -> Response:
        """Make a machine from a template version, an image or a blank disk; the job's subject is the machine."""
        given = self.input(NewVm)
        if given.get("version"):
            given["version"] = find(self.actor, TemplateVersion, given["version"], "template.view")
        places = (("storage", StorageDomain), ("network", Network), ("image", Image), ("cd", Image))
        for name, model in places:
            given[name] = find(self.actor, model, given[name]) if given.get(name) else None
        self._type(given)
        return self.accepted(create_vm(actor=self.actor, **given))

    @extend_schema(responses=VmDetailSerializer)
    def retrieve(self, request: Request, pk: Any) -> Response:
        """One machine with its disks, cards and what its guest says."""
        return super().retrieve(request, pk)

    @extend_schema(request=ChangedVm, responses=VmDetailSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change it. Of a machine that runs, size and hardware are changed by a job as far as its run can take it; the
        rest waits for its next start, as `pending` tells."""
        given = self.input(ChangedVm)
        self._type(given)
        return self.shown(edit_vm(actor=self.actor, vm=self.find(), **given))

    @extend_schema(responses={202: JobSerializer})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove the machine and its disks."""
        self.nothing()
        return self.accepted(delete_vm(actor=self.actor, vm=self.find()))

    @job_verb("start")
    def start(self, request: Request, pk: Any) -> Response:
        """Switch it on, or wake it from disk."""
        return self._power(start_vm)

    @job_verb("shutdown", takes=ShutDown)
    def shutdown(self, request: Request, pk: Any) -> Response:
        """Ask the guest to shut down: by the power button, then through the agent."""
        return self.accepted(shutdown_vm(actor=self.actor, vm=self.find(), **self.input(ShutDown)))

    @job_verb("power-off")
    def power_off(self, request: Request, pk: Any) -> Response:
        """Pull the plug; unsaved work is lost."""
        return self._power(power_off_vm)

    @job_verb("reboot")
    def reboot(self, request: Request, pk: Any) -> Response:
        """Ask the guest to restart."""
        return self._power(reboot_vm)

    @job_verb("reset")
    def reset(self, request: Request, pk: Any) -> Response:
        """Press the reset button; unsaved work is lost."""
        return self._power(reset_vm)

    @job_verb("suspend")
    def suspend(self, request: Request, pk: Any) -> Response:
        """Write its memory to disk and switch it off."""
        return self._power(suspend_vm)

    @job_verb("pause")
    def pause(self, request: Request, pk: Any) -> Response:
        """Hold it in memory."""
        return self._power(pause_vm)

    @job_verb("resume")
    def resume(self, request: Request, pk: Any) -> Response:
        """Let a paused machine go on."""
        return self._power(resume_vm)

    @job_verb("reset-disks", takes=FreshDisks)
    def reset_disks(self, request: Request, pk: Any) -> Response:
        """Give it fresh disks from its template; everything on the present ones is lost."""
        given = self.input(FreshDisks)
        if given.get("version"):
            given["version"] = find(self.actor, TemplateVersion, given["version"], "template.view")
        return self.accepted(reset_disks(actor=self.actor, vm=self.find(), **given))

    @verb("console-ticket", takes=Console, gives=TicketSerializer)
    def console_ticket(self, request: Request, pk: Any) -> Response:
        """A ticket for the machine's screen, for one use within seconds, bound to the browser's sign-in."""
        vm, given = self.find(), self.input(Console)
        help = given.pop("help", None)
        given["help"] = found(helps(self.actor).filter(vm=vm), help) if help else None
        if "login" in given:
            given["login"] = RdpLogin.of(given["login"])
        ticket = issue_ticket(actor=self.actor, vm=vm, **given)
        return Response(TicketSerializer(ticket).data)

    def _type(self, given: dict[str, Any]) -> None:
        if given.get("instance_type"):
            given["instance_type"] = found(instance_types(self.actor), given["instance_type"])

    def _power(self, action: Any) -> Response:
        self.nothing()
        return self.accepted(action(actor=self.actor, vm=self.find()))


class SampleFilter(filters.FilterSet):
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")


class Samples(Listed, Resource):
    """Readings of a machine's load, youngest first."""

    serializer_class = SampleSerializer
    filterset_class = SampleFilter
    ordering = ("-at",)
    ordering_fields = ("at",)

    def rows(self) -> QuerySet[Any]:
        from broker.virt.models import Sample

        return Sample.objects.all()

    def visible(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        return rows.filter(vm=find(self.actor, VirtualMachine, self.kwargs["vm_pk"]))

    def list(self, request: Request, vm_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)
