"""Change an instance type. The machines that were made by it stay as they are."""

from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import instance_types, rows
from broker.virt.models import InstanceType


@transaction.atomic
def edit_instance_type(*, actor: Actor, kind: InstanceType, **settings: Any) -> InstanceType:
    """Write what is given of name, description, vcpus, memory_mib and options (which replace those there are).

    Raises Denied, Invalid or Conflict.
    """
    require(actor, "system.manage")
    kind = InstanceType.objects.select_for_update().get(pk=kind.pk)
    wanted = instance_types.checked(kind, settings)
    changed = sorted(field for field, value in wanted.items() if getattr(kind, field) != value)
    if rows.change(kind, wanted):
        record(
            "instance-type.changed", actor=actor, subject=kind, name=kind.name, fields=", ".join(changed),
            message=N_("Instance type %(name)s was changed: %(fields)s"),
        )  # fmt: skip
        publish("instance-type", kind.pk, "changed")
    return kind
