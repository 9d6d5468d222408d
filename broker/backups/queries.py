"""What somebody may see of targets and schedules: those of clusters whose backups they see."""

from django.db.models import QuerySet

from broker.access.actor import Actor
from broker.access.require import visible_to
from broker.virt.models import Cluster, VirtualMachine

from .models import Backup, BackupSchedule, BackupTarget


def targets_for(actor: Actor) -> QuerySet[BackupTarget]:
    """Also those of the clusters in which one has a machine to back up."""
    machines = visible_to(actor, VirtualMachine, "vm.backup").order_by().values("cluster")
    clusters = visible_to(actor, Cluster, "backup.view").order_by().values("pk")
    rows = BackupTarget.objects.select_related("cluster", "storage", "host")
    return rows.filter(cluster__in=clusters) | rows.filter(cluster__in=machines)


def schedules_for(actor: Actor) -> QuerySet[BackupSchedule]:
    clusters = visible_to(actor, Cluster, "backup.view").order_by().values("pk")
    return BackupSchedule.objects.select_related("target__cluster").filter(target__cluster__in=clusters)


def backups_of(actor: Actor, vm: VirtualMachine) -> QuerySet[Backup]:
    return visible_to(actor, Backup).filter(vm_key=vm.pk).select_related("target")
