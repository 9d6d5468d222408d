"""Remove an instance type. The machines that were made by it keep what they have, and forget its name."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import rows
from broker.virt.models import InstanceType


@transaction.atomic
def delete_instance_type(*, actor: Actor, kind: InstanceType) -> None:
    """Raises Denied."""
    require(actor, "system.manage")
    pk = kind.pk
    record(
        "instance-type.deleted", actor=actor, subject=kind, message=N_("Instance type %(name)s was removed"),
        name=kind.name,
    )  # fmt: skip
    rows.remove(kind)
    publish("instance-type", pk, "deleted")
