"""What machines run on and are made from: clusters, hosts, storage domains, networks, templates and their versions."""

from typing import Any

from django.db.models import Count, Q, QuerySet
from django_filters import rest_framework as filters

from broker.virt.driver import PowerState
from broker.virt.models import Cluster, Host, Network, StorageDomain, TemplateVersion, VmTemplate
from broker.virt.states import HostState, VersionState
from portal.api.base import Listed, Read, Resource
from portal.api.queries import Search, choices
from portal.api.serializers.virt import (
    ClusterSerializer,
    HostSerializer,
    NetworkSerializer,
    StorageDomainSerializer,
    TemplateSerializer,
    TemplateVersionSerializer,
)


class InCluster(filters.FilterSet):
    cluster = filters.UUIDFilter(field_name="cluster_id")
    search = Search("name")


class Clusters(Listed, Read, Resource):
    """Hosts among which machines are placed, with what they share."""

    serializer_class = ClusterSerializer

    def rows(self) -> QuerySet[Cluster]:
        return Cluster.objects.all()


class HostFilter(InCluster):
    state = choices(HostState)


class Hosts(Listed, Read, Resource):
    """Machines that run KVM."""

    serializer_class = HostSerializer
    filterset_class = HostFilter
    ordering_fields = ("name", "state", "memory_free_bytes")

    def rows(self) -> QuerySet[Host]:
        running = Count("vms", filter=Q(vms__power_state=PowerState.RUNNING))
        return Host.objects.select_related("cluster").annotate(vms_running=running)


class StorageDomains(Listed, Read, Resource):
    """Where disks live."""

    serializer_class = StorageDomainSerializer
    filterset_class = InCluster
    ordering_fields = ("name", "available_bytes")

    def rows(self) -> QuerySet[StorageDomain]:
        return StorageDomain.objects.select_related("cluster")


class Networks(Listed, Read, Resource):
    """What network cards plug into."""

    serializer_class = NetworkSerializer
    filterset_class = InCluster

    def rows(self) -> QuerySet[Network]:
        return Network.objects.select_related("cluster")


class Templates(Listed, Read, Resource):
    """What machines are made from."""

    serializer_class = TemplateSerializer
    filterset_class = InCluster

    def rows(self) -> QuerySet[VmTemplate]:
        return VmTemplate.objects.select_related("cluster").annotate(version_count=Count("versions"))


class VersionFilter(filters.FilterSet):
    template = filters.UUIDFilter(field_name="template_id")
    state = choices(VersionState)


class TemplateVersions(Listed, Read, Resource):
    """States of templates: an image and its hardware."""

    serializer_class = TemplateVersionSerializer
    filterset_class = VersionFilter
    ordering = ("template__name", "-number")
    ordering_fields = ("number", "created_at", "state")

    def rows(self) -> QuerySet[Any]:
        return TemplateVersion.objects.select_related("template", "storage")
