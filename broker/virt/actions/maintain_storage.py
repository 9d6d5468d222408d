"""Take a storage domain out of service: nothing is made on it, no machine is started from it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.driver import PowerState
from broker.virt.models import StorageDomain, VirtualMachine
from broker.virt.states import STORAGE

MOST_NAMED = 5
IN_USE = (PowerState.RUNNING, PowerState.PAUSED)


@transaction.atomic
def maintain_storage(*, actor: Actor, storage: StorageDomain) -> StorageDomain:
    """Raises Missing, Denied, or Conflict when it is so already or naming the machines that use it now."""
    require(actor, "storage.manage", storage)
    STORAGE.move(storage, "maintain")
    _refuse_in_use(storage)
    record("storage.maintain", actor=actor, subject=storage, message=N_("%(name)s was put into maintenance"),
           name=storage.name)  # fmt: skip
    publish("storage", storage.pk, "changed")
    return storage


def _refuse_in_use(storage: StorageDomain) -> None:
    """Looked at after the state was moved: a start that comes later finds it in maintenance."""
    on_it = VirtualMachine.objects.filter(disks__storage=storage).distinct()
    working = Job.objects.filter(subject_kind="vm", state__in=sorted(ACTIVE)).values("subject_id")
    users = list((on_it.filter(power_state__in=IN_USE) | on_it.filter(pk__in=working))[: MOST_NAMED + 1])
    if users:
        raise Conflict(
            N_("%(name)s is in use by machines: %(users)s."),
            rule="storage.in-use",
            fix=N_("Shut them down, or move their disks to another storage first."),
            reasons=[
                Reason(vm.name, "storage.in-use", N_("runs, or is being worked on"), kind="vm", id=vm.pk,
                       words=N_("runs, or is being worked on"))
                for vm in users
            ],
            name=storage.name,
            users=", ".join(vm.name for vm in users[:MOST_NAMED]) + (", …" if len(users) > MOST_NAMED else ""),
        )  # fmt: skip
