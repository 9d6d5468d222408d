"""Delete a file that was made of a machine or a disk of it to be downloaded."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Busy
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.virt import exports
from broker.virt.models import DiskExport


@transaction.atomic
def delete_export(*, actor: Actor, export: DiskExport) -> None:
    """The machine stays as it is. Raises Missing, Denied, or Busy while it is being made."""
    require(actor, "vm.backup", export.vm)
    if export.ready_at is None:
        raise Busy(N_("This file is being made."), fix=N_("Wait, or cancel the job."))
    pk = export.pk
    DiskExport.objects.filter(pk=pk).delete()
    publish("vm", export.vm_id, "changed")
    transaction.on_commit(lambda: exports.remove(pk))
