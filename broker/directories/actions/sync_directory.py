"""Have a directory's users and groups read anew at once."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.directories.models import Directory, SyncAsked
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.tasks import run_duty

DUTY = "directories.follow"


@transaction.atomic
def sync_directory(*, actor: Actor, directory: Directory, accept_removals: bool = False) -> Directory:
    """Returns the row; the work is done by a worker, within seconds. Raises Denied, or Conflict for one not enabled.

    `accept_removals` is the administrator's word that so many users or memberships are really gone from the directory:
    what the last look held back (`sync_held`) is then taken over.
    """
    require(actor, "system.manage")
    if not directory.enabled:
        raise Conflict(
            N_("%(name)s is not enabled."), rule="directory.enabled", fix=N_("Enable it first."), name=directory.name
        )
    directory.sync_asked = SyncAsked.ACCEPT if accept_removals else SyncAsked.FULL
    directory.save(update_fields=["sync_asked"])
    record(
        "directory.sync-asked",
        actor=actor,
        subject=directory,
        message=(
            N_("Directory %(name)s is read anew; whatever is gone there goes here")
            if accept_removals
            else N_("Directory %(name)s is read anew")
        ),
        name=directory,
    )
    publish("directory", directory.pk)
    transaction.on_commit(lambda: run_duty.delay(DUTY), robust=True)
    return directory
