"""Reading: querysets for lists and pages, each with the same number of queries at any length."""

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Count, Prefetch, Q, QuerySet

from broker import sql
from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.sql import Given, Statement

from .driver import PowerState
from .models import (
    Cluster,
    DeviceUse,
    Disk,
    DiskShare,
    Host,
    Network,
    Nic,
    StorageDomain,
    TemplateVersion,
    VirtualMachine,
    VmTemplate,
)

RUNNING = (PowerState.RUNNING, PowerState.PAUSED)


def whole_machines() -> QuerySet[VirtualMachine]:
    """Machines with all that their definition is made of: five queries."""
    return VirtualMachine.objects.select_related(
        "host", "cluster", "template_version__storage", "cd__storage", "seed_on"
    ).prefetch_related(
        Prefetch("disks", Disk.objects.select_related("storage")),
        Prefetch("nics", Nic.objects.select_related("network")),
        Prefetch("disk_shares", DiskShare.objects.select_related("disk__storage")),
        Prefetch("devices", DeviceUse.objects.select_related("device")),
    )


def whole_machine(pk: UUID) -> VirtualMachine:
    """The one of these; raises VirtualMachine.DoesNotExist."""
    found: list[VirtualMachine] = _WHOLE.objects(pk=pk)
    if not found:
        raise VirtualMachine.DoesNotExist(f"There is no machine {pk}")
    return sql.with_rows(
        found[0], disks=_DISKS_OF.objects(vm=pk), nics=_NICS_OF.objects(vm=pk), disk_shares=_SHARES_OF.objects(vm=pk),
        devices=_DEVICES_OF.objects(vm=pk),
    )  # fmt: skip


_WHOLE = Statement(lambda: whole_machines().filter(pk=Given("pk")).order_by())
_DISKS_OF = Statement(lambda: Disk.objects.filter(vm=Given("vm")).select_related("storage"))
_NICS_OF = Statement(lambda: Nic.objects.filter(vm=Given("vm")).select_related("network"))
_DEVICES_OF = Statement(lambda: DeviceUse.objects.filter(vm=Given("vm")).select_related("device"))
_SHARES_OF = Statement(lambda: DiskShare.objects.filter(vm=Given("vm")).select_related("disk__storage"))


def machines(actor: Actor) -> QuerySet[VirtualMachine]:
    """The machines the actor may see, for a list: one query."""
    return visible_to(actor, VirtualMachine).select_related("host", "cluster", "template_version__template")


def machine_details(actor: Actor) -> QuerySet[VirtualMachine]:
    """The machines the actor may see, for a page of one: disks and cards come along."""
    return machines(actor).prefetch_related(
        Prefetch("disks", Disk.objects.select_related("storage")),
        Prefetch("nics", Nic.objects.select_related("network")),
    )


def hosts(actor: Actor) -> QuerySet[Host]:
    """Hosts with `vm_count` and `running_count`."""
    return (
        visible_to(actor, Host)
        .select_related("cluster")
        .annotate(
            vm_count=Count("vms", distinct=True),
            running_count=Count("vms", filter=Q(vms__power_state__in=RUNNING), distinct=True),
        )
    )


def host_details(actor: Actor) -> QuerySet[Host]:
    """Hosts with their machines, foreign ones and local storage."""
    return hosts(actor).prefetch_related("vms", "foreign_machines", "storage_domains")


def clusters(actor: Actor) -> QuerySet[Cluster]:
    """Clusters with `host_count` and `vm_count`."""
    return visible_to(actor, Cluster).annotate(
        host_count=Count("hosts", distinct=True), vm_count=Count("vms", distinct=True)
    )


def storage_domains(actor: Actor) -> QuerySet[StorageDomain]:
    """Storage with `disk_count` and `image_count`."""
    return (
        visible_to(actor, StorageDomain)
        .select_related("cluster", "host")
        .annotate(disk_count=Count("disks", distinct=True), image_count=Count("template_versions", distinct=True))
    )


def networks(actor: Actor) -> QuerySet[Network]:
    """Networks with `nic_count`."""
    return visible_to(actor, Network).select_related("cluster").annotate(nic_count=Count("nics"))


def templates(actor: Actor) -> QuerySet[VmTemplate]:
    """Templates with their versions, the newest first, each with `vm_count`: two queries."""
    versions = TemplateVersion.objects.select_related("storage").annotate(vm_count=Count("vms")).order_by("-number")
    return visible_to(actor, VmTemplate).select_related("cluster").prefetch_related(Prefetch("versions", versions))


def active_jobs(kind: str, ids: Iterable[UUID]) -> dict[UUID, Job]:
    """What is under way for these objects: object id → job. One query."""
    return {
        job.subject_id: job for job in Job.objects.filter(subject_kind=kind, subject_id__in=list(ids), state__in=ACTIVE)
    }
