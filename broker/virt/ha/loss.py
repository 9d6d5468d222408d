"""A host is found dead: its machines are off, those that are highly available are to be restarted elsewhere."""

from datetime import datetime

from django.db.models import F

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.record import record
from broker.virt import observe
from broker.virt.models import Host, HostHealth, Recovery, VirtualMachine
from broker.virt.states import VmState

HA = Actor.system("virt.ha")


def declare_lost(host: Host, health: HostHealth, *, at: datetime, only_leased: bool = False) -> int:
    """Write it down; returns how many machines are to be restarted. Call in a transaction; twice does no harm.

    `only_leased`: it is proved for machines with a lease alone; the others stay as they were last seen.
    """
    free = HostHealth.objects.filter(pk=health.pk)
    free = free.filter(lost_at__isnull=True) if only_leased else free.exclude(lost_at__isnull=False, only_leased=False)
    if not free.update(lost_at=at, only_leased=only_leased, epoch=F("epoch") + 1):
        return 0
    health.refresh_from_db()
    machines = VirtualMachine.objects.filter(host=host)
    if only_leased:
        machines = machines.filter(available=True, leased=True)
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


def lost_epoch(host: Host) -> int:
    """The epoch of the loss of a host that was found dead and has not come back; 0 for one that was not."""
    health = HostHealth.objects.filter(host=host, lost_at__isnull=False, only_leased=False).first()
    return health.epoch if health else 0
