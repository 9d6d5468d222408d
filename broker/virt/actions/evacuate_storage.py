"""Move the disks of all machines off a storage, then put it into maintenance."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.models import StorageDomain
from broker.virt.states import STORAGE
from broker.virt.storage_rules import require_usable


@transaction.atomic
def evacuate_storage(*, actor: Actor, storage: StorageDomain, target: StorageDomain) -> Job:
    """Returns the job. While images of templates or of the library lie on it, the storage stays in use.

    Raises Missing, Denied, Invalid (the target is not for this), Conflict (it is in maintenance) or Busy.
    """
    require(actor, "storage.manage", storage)
    require(actor, "storage.manage", target)
    if target.pk == storage.pk or target.cluster_id != storage.cluster_id:
        raise Invalid(
            N_("The disks cannot be moved to %(target)s."), field="target",
            fix=N_("Choose another storage of the same cluster."), target=target.name,
        )  # fmt: skip
    require_usable(target, luns=True)
    if not STORAGE.is_(storage.state, "usable"):
        raise Conflict(
            N_("%(name)s is not in use."), rule="storage.usable", fix=N_("Put it into use first."), name=storage.name
        )
    record(
        "storage.evacuate", actor=actor, subject=storage, name=storage.name, target=target.name,
        message=N_("All disks on %(name)s are moved to %(target)s, to put it into maintenance"),
    )  # fmt: skip
    publish("storage", storage.pk, "changed")
    return enqueue("storage.evacuate", actor=actor, subject=storage, args={"target": str(target.pk)})
