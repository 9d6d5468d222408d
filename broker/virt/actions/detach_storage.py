"""Let a storage go, with the machines and templates on it, so that another Berth can take it in."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.driver import PowerState
from broker.virt.models import Disk, StorageDomain, VirtualMachine
from broker.virt.states import STORAGE
from broker.virt.usage import refuse_if_used

MOST_NAMED = 5


@transaction.atomic
def detach_storage(*, actor: Actor, storage: StorageDomain) -> Job:
    """Raises Missing, Denied, or Conflict: not in maintenance, or something on it is needed by what stays."""
    require(actor, "storage.manage", storage)
    if STORAGE.is_(storage.state, "usable"):
        raise Conflict(
            N_("%(name)s is in use."),
            rule="storage.maintenance",
            fix=N_("Put it into maintenance first."),
            name=storage.name,
        )
    _refuse_what_stays(storage)
    record("storage.detach.asked", actor=actor, subject=storage, message=N_("Letting %(name)s go was asked for"),
           name=storage.name)  # fmt: skip
    publish("storage", storage.pk, "asked")
    return enqueue("storage.detach", actor=actor, subject=storage)


def _refuse_what_stays(storage: StorageDomain) -> None:
    machines = VirtualMachine.objects.filter(disks__storage=storage).distinct()
    partly = Disk.objects.filter(vm__in=machines).exclude(storage=storage).values("vm")
    awake = machines.exclude(power_state__in=(PowerState.OFF, PowerState.MISSING, PowerState.CRASHED))
    kept = VirtualMachine.objects.filter(template_version__storage=storage, linked=True).exclude(pk__in=machines)
    for wrong, message, fix in (
        (machines.filter(desktop__isnull=False), N_("%(machines)s are desktops of a pool."), N_("Delete the pool.")),
        (machines.filter(pk__in=partly), N_("%(machines)s have disks elsewhere, too."), N_("Move all to one storage.")),
        (machines.filter(snapshots__isnull=False), N_("%(machines)s have snapshots."), N_("Delete the snapshots.")),
        (awake, N_("%(machines)s are not off."), N_("Shut them down first.")),
        (kept, N_("%(machines)s were made from a template there."), N_("Move or delete them first.")),
    ):
        found = [vm.name for vm in wrong[: MOST_NAMED + 1]]
        if found:
            raise Conflict(message, rule="storage.detach", fix=fix, machines=", ".join(found[:MOST_NAMED]))
    if floating := list(storage.floating_disks.values_list("name", flat=True)[:MOST_NAMED]):
        raise Conflict(
            N_("There are disks of no machine on it: %(disks)s."), rule="storage.detach",
            fix=N_("Attach or delete them first."), disks=", ".join(floating),
        )  # fmt: skip
    for version in storage.template_versions.all():
        refuse_if_used(version, ignore=("vms",))
