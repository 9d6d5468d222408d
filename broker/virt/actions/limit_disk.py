"""Say how much of a disk its guest gets, also while it runs."""

from dataclasses import asdict

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import names
from broker.virt.asking import require_usable
from broker.virt.driver import DiskLimits
from broker.virt.models import Disk

MOST = 10**12  # QEMU takes a thousand times as much
LEAST_BYTES = 1 << 16  # with less a guest seems to hang


@transaction.atomic
def limit_disk(*, actor: Actor, disk: Disk, limits: DiskLimits) -> Job:
    """Enqueue it; the guest is held to it at once. In all or each way, not both of one kind; 0: no limit.

    Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    vm = disk.vm
    require(actor, "vm.edit", vm)
    for kind, least in (("bytes", LEAST_BYTES), ("iops", 1)):
        given = {name: getattr(limits, name) for name in (f"total_{kind}", f"read_{kind}", f"write_{kind}")}
        for name, value in given.items():
            if value != 0:
                names.number(value, field=name, least=least, most=MOST)
        total, *ways = given.values()
        if total and any(ways):
            raise Invalid(
                N_("A limit counts in all, or for reading and writing each."), field=f"total_{kind}",
                fix=N_("Leave one of both at 0."),
            )  # fmt: skip
    require_usable(vm)
    record(
        "vm.disk.limit.asked", actor=actor, subject=vm,
        message=N_("Limits of the disk %(target)s of %(name)s were asked for"), target=disk.target, name=vm.name,
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    args = {"disk": str(disk.pk), "limits": asdict(limits)}
    return enqueue("vm.limit-disk", actor=actor, subject=vm, args=args)
