"""Look for files on a storage that nothing refers to, and remove those of them that were chosen."""

from collections.abc import Collection

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.drivers.names import check
from broker.virt.models import StorageDomain
from broker.virt.storage_rules import require_ours

MOST = 1000


@transaction.atomic
def tidy_storage(*, actor: Actor, storage: StorageDomain, remove: Collection[str] = ()) -> Job:
    """Enqueue it; the job's args name at its end what was `found` and `removed`.

    `remove`: names found before; one that something refers to by then stays. Raises Missing, Denied, Invalid,
    Conflict or Busy.
    """
    require(actor, "storage.manage", storage)
    names = sorted({check(name) for name in list(remove)[:MOST]})
    require_ours(storage)
    if names:
        record("storage.tidy.asked", actor=actor, subject=storage, name=storage.name, files=", ".join(names[:5]),
               message=N_("Removal of left-over files from %(name)s was asked for: %(files)s"))  # fmt: skip
    publish("storage", storage.pk, "asked")
    return enqueue("storage.tidy", actor=actor, subject=storage, args={"remove": names})
