"""Make a disk of a left-over file on a storage."""

from uuid import uuid4

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import names
from broker.virt.drivers.names import check
from broker.virt.models import StorageDomain
from broker.virt.storage_rules import require_files, require_ours


@transaction.atomic
def adopt_file(*, actor: Actor, storage: StorageDomain, file: str, name: str = "") -> Job:
    """Enqueue it; the job's args name the `disk`, whose row is there at its end. The file stays where and as it is.

    `file`: its name, as tidy_storage finds it. `name`: what the disk is called. That nothing refers to the file, and
    that it is an image QEMU may open, is looked at by the job. Raises Missing, Denied, Invalid, Conflict or Busy.
    """
    require(actor, "storage.manage", storage)
    file = check(file)
    args = {
        "file": file, "name": names.title(name, field="name") or file, "owner": str(actor.user_id or ""),
        "disk": str(uuid4()),
    }  # fmt: skip
    require_ours(storage)
    require_files(storage)
    record(
        "storage.adopt.asked", actor=actor, subject=storage, name=storage.name, file=file,
        message=N_("Making a disk of the left-over file %(file)s on %(name)s was asked for"),
    )  # fmt: skip
    publish("storage", storage.pk, "asked")
    return enqueue("storage.adopt-file", actor=actor, subject=storage, args=args)
