"""Put a CD into a machine's drive, or take it out; also while it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.asking import require_power, require_usable
from broker.virt.disk_rules import SETTLED
from broker.virt.models import Image, VirtualMachine
from broker.virt.origins import require_fitting


@transaction.atomic
def change_cd(*, actor: Actor, vm: VirtualMachine, cd: Image | None = None) -> Job:
    """Enqueue it; None takes out what is in. A machine that was started without a drive has it at its next start.

    Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "vm.edit", vm)
    if cd is not None:
        require(actor, "image.view", cd)
        cd = require_fitting(vm, cd)
    require_usable(vm)
    require_power(vm, SETTLED)
    was = str(vm.cd_id) if vm.cd_id else ""
    VirtualMachine.objects.filter(pk=vm.pk).update(cd=cd)
    record(
        "vm.cd.asked", actor=actor, subject=vm, name=vm.name, cd=cd.name if cd else "-",
        message=N_("The CD %(cd)s was asked for in the drive of %(name)s"),
    )  # fmt: skip
    publish("vm", vm.pk, "asked")
    return enqueue("vm.change-cd", actor=actor, subject=vm, args={"was": was})
