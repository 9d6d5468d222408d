"""Have a machine's disks examined: rows, files and the hypervisor's word compared, and repaired where it is safe."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.asking import require_virtual
from broker.virt.models import VirtualMachine


@transaction.atomic
def examine_disks(*, actor: Actor, vm: VirtualMachine, mend: bool = False) -> Job:
    """Enqueue it; the job's args name the `findings` when it has ended, and what was `mended`.

    Only what touches no image is mended. Raises Missing, Denied or Busy.
    """
    require(actor, "vm.edit", vm)
    require_virtual(vm)
    message = N_("A repair of the disks of %(name)s was asked for") if mend else N_(
        "An examination of the disks of %(name)s was asked for"
    )  # fmt: skip
    record("vm.disks.examine.asked", actor=actor, subject=vm, message=message, name=vm.name)
    publish("vm", vm.pk, "asked")
    return enqueue("vm.examine", actor=actor, subject=vm, args={"mend": bool(mend)})
