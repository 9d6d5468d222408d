"""Take a machine of somebody else's under Berth's care, as it is and as it runs."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.making import give_to_maker
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import names, quotas, rows
from broker.virt.driver import PowerState
from broker.virt.models import ForeignMachine, VirtualMachine


@transaction.atomic
def adopt_vm(*, actor: Actor, foreign: ForeignMachine) -> Job:
    """Write its row under the id it has, and enqueue the rest; nothing on the host is changed by it.

    What Berth does not know of its definition stays as it is, now and when the machine is edited later.
    Raises Missing, Denied, Invalid, Conflict or OverQuota.
    """
    host = foreign.host
    require(actor, "host.manage", host)
    if VirtualMachine.objects.filter(pk=foreign.uuid).exists():
        raise Conflict(
            N_("%(name)s is Berth's already, on another host."), rule="adopt.foreign",
            fix=N_("Find out which of the two is the real one; the other may be undefined on its host."),
            name=foreign.name,
        )  # fmt: skip
    vm = VirtualMachine(
        id=foreign.uuid, cluster=host.cluster, host=host, owner=actor.user, linked=False,
        name=names.name(foreign.name), vcpus=foreign.vcpus or 1, memory_mib=max(foreign.memory_bytes >> 20, 1),
        power_state=PowerState.UNKNOWN,
    )  # fmt: skip
    quotas.claim_creation(actor, vm, disk_bytes=0, start=foreign.power_state == PowerState.RUNNING)
    rows.insert(vm)
    give_to_maker(actor, "vm-manager", vm)
    record(
        "vm.adopt.asked", actor=actor, subject=vm, name=vm.name, host=host.name,
        message=N_("Adoption of %(name)s on %(host)s was asked for"),
    )  # fmt: skip
    publish("vm", vm.pk, "created")
    return enqueue("vm.adopt", actor=actor, subject=vm)
