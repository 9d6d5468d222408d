"""What machines run on and are made from: clusters, hosts, storage domains, networks, templates and their versions."""

from typing import Any

from django.db.models import Count, Q, QuerySet
from django_filters import rest_framework as filters
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from broker.access.require import find
from broker.virt.actions.activate_host import activate_host
from broker.virt.actions.adopt_vm import adopt_vm
from broker.virt.actions.create_cluster import create_cluster
from broker.virt.actions.create_host import create_host
from broker.virt.actions.create_network import create_network
from broker.virt.actions.create_template import create_template
from broker.virt.actions.delete_cluster import delete_cluster
from broker.virt.actions.delete_host import delete_host
from broker.virt.actions.delete_network import delete_network
from broker.virt.actions.delete_template import delete_template
from broker.virt.actions.delete_template_version import delete_template_version
from broker.virt.actions.edit_cluster import edit_cluster
from broker.virt.actions.edit_host import edit_host
from broker.virt.actions.edit_network import edit_network
from broker.virt.actions.edit_template import edit_template
from broker.virt.actions.edit_template_version import edit_template_version
from broker.virt.actions.evacuate_host import evacuate_host
from broker.virt.actions.import_template_version import import_template_version
from broker.virt.actions.maintain_host import maintain_host
from broker.virt.actions.wake_host import wake_host
from broker.virt.driver import PowerState
from broker.virt.ha.rules import SETTINGS as HA_SETTINGS
from broker.virt.host_status import with_status
from broker.virt.macs import MOST_RANGES
from broker.virt.migrating import policies
from broker.virt.models import Cluster, ForeignMachine, Guard, Host, Network, StorageDomain, TemplateVersion, VmTemplate
from broker.virt.network_rules import MOST_MTU
from broker.virt.placement.policy import SETTINGS
from broker.virt.states import HostState, VersionState
from portal.api.base import Listed, Read, Resource, job_verb, verb
from portal.api.fields import Id, Input, Labels, LongTextField, NameField, Switch, TextField, WholeNumber
from portal.api.machine_fields import MachineOptions
from portal.api.queries import Search, choices
from portal.api.serializers.jobs import JobSerializer
from portal.api.serializers.virt import (
    ClusterSerializer,
    ForeignMachineSerializer,
    HostSerializer,
    NetworkSerializer,
    TemplateSerializer,
    TemplateVersionSerializer,
)
from portal.api.settings_fields import rules_input


class InCluster(filters.FilterSet):
    cluster = filters.UUIDFilter(field_name="cluster_id")
    search = Search("name")


def _ranges(**kwargs: Any) -> serializers.ListField:
    text = "Of which addresses its network cards get theirs, each first-last; none: they begin with 52:54:00."
    return serializers.ListField(
        child=TextField(max_length=64), max_length=MOST_RANGES, required=False, help_text=text, **kwargs
    )


class NewCluster(Input):
    name = NameField()
    description = LongTextField(required=False, allow_blank=True)
    mac_ranges = _ranges()

    def validate_mac_ranges(self, value: list[str]) -> str:
        return "\n".join(value)


class ChangedCluster(NewCluster):
    name = NameField(required=False)
    rules = rules_input("PlacementRules", SETTINGS)(required=False, help_text="Those left out stay.")
    ha = rules_input("AvailabilityRules", HA_SETTINGS)(required=False, help_text="Those left out stay.")
    migration = rules_input("MigrationRules", policies.SETTINGS)(required=False, help_text="Those left out stay.")


class Clusters(Listed, Read, Resource):
    """Hosts among which machines are placed, with what they share."""

    serializer_class = ClusterSerializer

    def rows(self) -> QuerySet[Cluster]:
        return Cluster.objects.all()

    @extend_schema(request=NewCluster, responses={201: ClusterSerializer})
    def create(self, request: Request) -> Response:
        """Make a cluster."""
        return self.shown(create_cluster(actor=self.actor, **self.input(NewCluster)), status=201)

    @extend_schema(request=ChangedCluster, responses=ClusterSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change its name, description, ranges of addresses, or rules of placement and high availability."""
        return self.shown(edit_cluster(actor=self.actor, cluster=self.find(), **self.input(ChangedCluster)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove a cluster in which nothing is left."""
        self.nothing()
        delete_cluster(actor=self.actor, cluster=self.find())
        return Response(status=204)


HOST_KEY = "What the host has to show over SSH: its public key or SHA256 fingerprint. Empty: the first it shows counts."


class NewHost(Input):
    cluster = Id()
    name = NameField()
    driver = serializers.SlugField(max_length=32, required=False)
    uri = TextField(max_length=255, required=False)
    host_key = TextField(max_length=4096, required=False, help_text=HOST_KEY)


class ChangedHost(Input):
    name = NameField(required=False)
    uri = TextField(max_length=255, required=False, help_text="Where it is reached; changed in maintenance only.")
    host_key = TextField(max_length=4096, required=False, allow_blank=True, help_text=HOST_KEY)
    labels = Labels(required=False)
    may_sleep = Switch(required=False, help_text="It may be switched off to save power; it needs a fence device.")


class HostFilter(InCluster):
    state = choices(HostState)


class Hosts(Listed, Read, Resource):
    """Machines that run KVM."""

    serializer_class = HostSerializer
    filterset_class = HostFilter
    ordering_fields = ("name", "state", "memory_free_bytes")

    def rows(self) -> QuerySet[Host]:
        running = Count("vms", filter=Q(vms__power_state=PowerState.RUNNING))
        return with_status(Host.objects.all()).annotate(vms_running=running)

    @extend_schema(request=NewHost, responses={201: HostSerializer})
    def create(self, request: Request) -> Response:
        """Add a host; the monitor connects to it at once."""
        given = self.input(NewHost)
        given["cluster"] = find(self.actor, Cluster, given["cluster"])
        return self.shown(create_host(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedHost, responses=HostSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change its name, or in maintenance where it is reached."""
        return self.shown(edit_host(actor=self.actor, host=self.find(), **self.input(ChangedHost)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Forget a host in maintenance on which nothing of ours is left."""
        self.nothing()
        delete_host(actor=self.actor, host=self.find())
        return Response(status=204)

    @verb("maintain", gives=HostSerializer)
    def maintain(self, request: Request, pk: Any) -> Response:
        """Start no machine on it any more; those that run go on."""
        self.nothing()
        return self.shown(maintain_host(actor=self.actor, host=self.find()))

    @job_verb("evacuate")
    def evacuate(self, request: Request, pk: Any) -> Response:
        """Move its machines to other hosts, then put it into maintenance."""
        self.nothing()
        return self.accepted(evacuate_host(actor=self.actor, host=self.find()))

    @verb("activate", gives=HostSerializer)
    def activate(self, request: Request, pk: Any) -> Response:
        """Let machines be started on it again."""
        self.nothing()
        return self.shown(activate_host(actor=self.actor, host=self.find()))

    @job_verb("wake")
    def wake(self, request: Request, pk: Any) -> Response:
        """Switch it on, if it was switched off to save power."""
        self.nothing()
        return self.accepted(wake_host(actor=self.actor, host=self.find()))


class ForeignFilter(filters.FilterSet):
    power_state = choices(PowerState)
    search = Search("name")


class ForeignMachines(Listed, Resource):
    """Machines on a host that Berth did not make: seen, never touched."""

    serializer_class = ForeignMachineSerializer
    filterset_class = ForeignFilter
    ordering_fields = ("name", "power_state", "observed_at")

    def rows(self) -> QuerySet[ForeignMachine]:
        return ForeignMachine.objects.all()

    def visible(self, rows: QuerySet[ForeignMachine]) -> QuerySet[ForeignMachine]:
        return rows.filter(host=find(self.actor, Host, self.kwargs["host_pk"]))

    def list(self, request: Request, host_pk: Any) -> Response:  # type: ignore[override]
        return super().list(request)

    @job_verb("adopt")
    def adopt(self, request: Request, host_pk: Any, pk: Any) -> Response:
        """Look after it from now on, as it is and as it runs; the job's subject is the machine."""
        self.nothing()
        return self.accepted(adopt_vm(actor=self.actor, foreign=self.find(uuid=pk)))


class NewNetwork(Input):
    cluster = Id()
    name = NameField()
    kind = serializers.ChoiceField(choices=Network.Kind.choices, required=False)
    subnet = TextField(max_length=43, required=False, allow_blank=True)
    bridge = TextField(max_length=15, required=False, allow_blank=True)
    vlan = WholeNumber(required=False, min_value=0, max_value=4094, help_text="The tag, of Open vSwitch; 0: none.")
    mtu = WholeNumber(
        required=False,
        min_value=0,
        max_value=MOST_MTU,
        help_text="Of NAT and isolated networks, from 68; 0: the usual.",
    )
    guard = serializers.ChoiceField(choices=Guard.choices, required=False, help_text="What its cards may send as.")


class ChangedNetwork(NewNetwork):
    cluster = kind = None  # type: ignore[assignment]
    name = NameField(required=False)


class Networks(Listed, Read, Resource):
    """What network cards plug into."""

    serializer_class = NetworkSerializer
    filterset_class = InCluster

    def rows(self) -> QuerySet[Network]:
        return Network.objects.select_related("cluster")

    @extend_schema(request=NewNetwork, responses={201: NetworkSerializer})
    def create(self, request: Request) -> Response:
        """Make a network."""
        given = self.input(NewNetwork)
        given["cluster"] = find(self.actor, Cluster, given["cluster"])
        return self.shown(create_network(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedNetwork, responses=NetworkSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change its name or what its cards may send as; where it leads, and its MTU, while no machine runs on it."""
        return self.shown(edit_network(actor=self.actor, network=self.find(), **self.input(ChangedNetwork)))

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove a network that nothing uses."""
        self.nothing()
        delete_network(actor=self.actor, network=self.find())
        return Response(status=204)


class NewTemplate(Input):
    cluster = Id()
    name = NameField()
    description = LongTextField(required=False, allow_blank=True)
    os_name = TextField(max_length=64, required=False, allow_blank=True)


class ChangedTemplate(Input):
    description = LongTextField(required=False, allow_blank=True)
    os_name = TextField(max_length=64, required=False, allow_blank=True)


class NewVersion(Input):
    storage = Id()
    source = TextField(  # type: ignore[assignment]  # a field's own `source` is another matter
        max_length=255, help_text="The name of an image in the import directory."
    )
    vcpus = WholeNumber(required=False, min_value=1, max_value=512)
    memory_mib = WholeNumber(required=False, min_value=1, max_value=2**31 - 1)
    machine = serializers.ChoiceField(choices=["q35", "pc"], required=False)
    graphics = serializers.ListField(
        child=serializers.ChoiceField(choices=["vnc", "spice"]), required=False, min_length=1, max_length=2
    )
    options = MachineOptions(required=False, help_text="Hardware that machines made from it get.")
    notes = LongTextField(required=False, allow_blank=True)


class Templates(Listed, Read, Resource):
    """What machines are made from."""

    serializer_class = TemplateSerializer
    filterset_class = InCluster

    def rows(self) -> QuerySet[VmTemplate]:
        return VmTemplate.objects.select_related("cluster").annotate(version_count=Count("versions"))

    @extend_schema(request=NewTemplate, responses={201: TemplateSerializer})
    def create(self, request: Request) -> Response:
        """Make a template; it has no version yet."""
        given = self.input(NewTemplate)
        given["cluster"] = find(self.actor, Cluster, given["cluster"])
        return self.shown(create_template(actor=self.actor, **given), status=201)

    @extend_schema(request=ChangedTemplate, responses=TemplateSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change how a template is described."""
        return self.shown(edit_template(actor=self.actor, template=self.find(), **self.input(ChangedTemplate)))

    @extend_schema(responses={202: JobSerializer(many=True)})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove a template that nothing uses, with the images of its versions: one job each."""
        self.nothing()
        jobs = delete_template(actor=self.actor, template=self.find())
        return Response(JobSerializer(jobs, many=True, context=self.get_serializer_context()).data, status=202)

    @job_verb("import-version", takes=NewVersion)
    def import_version(self, request: Request, pk: Any) -> Response:
        """Make a version from an image; the job's subject is the version."""
        given = self.input(NewVersion)
        given["storage"] = find(self.actor, StorageDomain, given["storage"])
        return self.accepted(import_template_version(actor=self.actor, template=self.find(), **given))


class ChangedVersion(Input):
    notes = LongTextField(allow_blank=True)


class VersionFilter(filters.FilterSet):
    template = filters.UUIDFilter(field_name="template_id")
    state = choices(VersionState)


class TemplateVersions(Listed, Read, Resource):
    """States of templates: an image and its hardware."""

    serializer_class = TemplateVersionSerializer
    filterset_class = VersionFilter
    verb = "template.view"
    ordering = ("template__name", "-number")
    ordering_fields = ("number", "created_at", "state")

    def rows(self) -> QuerySet[Any]:
        return TemplateVersion.objects.select_related("template", "storage")

    @extend_schema(request=ChangedVersion, responses=TemplateVersionSerializer)
    def partial_update(self, request: Request, pk: Any) -> Response:
        """Change the notes."""
        given = self.input(ChangedVersion)
        return self.shown(edit_template_version(actor=self.actor, version=self.find(), **given))

    @extend_schema(responses={202: JobSerializer})
    def destroy(self, request: Request, pk: Any) -> Response:
        """Remove a version that no machine or pool needs, with its image."""
        self.nothing()
        return self.accepted(delete_template_version(actor=self.actor, version=self.find()))
