"""A host is found dead: its machines are off, those that are highly available are to be restarted elsewhere."""

from datetime import datetime
from uuid import UUID

from django.db.models import F

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt import observe
from broker.virt.models import Host, HostHealth, HostSign, Recovery, StorageDomain, VirtualMachine
from broker.virt.states import VmState

from .judge import LEASE

HA = Actor.system("virt.ha")


def declare_lost(host: Host, health: HostHealth, *, at: datetime, only_leased: bool = False) -> int:
    """Write it down; returns how many machines are to be restarted. Call in a transaction; twice does no harm.

    `only_leased`: it is proved for machines with a lease alone, and of those on LUNs only where the host had one on
    these; the others stay as they were last seen.
    """
    free = HostHealth.objects.filter(pk=health.pk)
    free = free.filter(lost_at__isnull=True) if only_leased else free.exclude(lost_at__isnull=False, only_leased=False)
    if not free.update(lost_at=at, only_leased=only_leased, epoch=F("epoch") + 1):
        return 0
    health.refresh_from_db()
    machines = VirtualMachine.objects.filter(host=host)
    if only_leased:
        unguarded = _without_lease(host)
        machines = machines.filter(available=True, leased=True).exclude(disks__storage__in=unguarded)
        machines = machines.exclude(disk_shares__disk__storage__in=unguarded)
    lost = observe.host_lost(machines, at)
    waiting = VirtualMachine.objects.filter(pk__in=lost, available=True, state=VmState.READY)
    waiting = waiting.exclude(recoveries__state__in=("waiting", "starting"))
    Recovery.objects.bulk_create(
        Recovery(vm=vm, host=host, epoch=health.epoch, next_at=at, created_at=at) for vm in waiting
    )
    for vm in VirtualMachine.objects.filter(pk__in=lost):
        record(
            "vm.host-lost", actor=HA, subject=vm, severity="error", name=vm.name, host=host.name,
            message=N_("%(name)s is restarted elsewhere: %(host)s is lost") if vm.available
            else N_("%(name)s stopped: %(host)s is lost"),
        )  # fmt: skip
    return len(lost)


def _without_lease(host: Host) -> list[UUID]:
    """The storages of LUNs on which nobody saw a lease of the host: its agent is from before there were such."""
    seen = set(HostSign.objects.filter(host=host, source=LEASE).values_list("by", flat=True))
    luns = StorageDomain.objects.filter(cluster=host.cluster_id, kind=StorageDomain.Kind.ISCSI)
    return [pk for pk in luns.values_list("pk", flat=True) if str(pk) not in seen]


def lost_epoch(host: Host) -> int:
    """The epoch of the loss of a host that was found dead and has not come back; 0 for one that was not."""
    health = HostHealth.objects.filter(host=host, lost_at__isnull=False, only_leased=False).first()
    return health.epoch if health else 0
