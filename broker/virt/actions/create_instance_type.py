"""Make an instance type: a size of machines under a name."""

from collections.abc import Mapping
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
def create_instance_type(
    *,
    actor: Actor,
    name: str,
    vcpus: int,
    memory_mib: int,
    description: str = "",
    options: Mapping[str, Any] | None = None,
) -> InstanceType:
    """`options`: hardware beyond the size, by machine_options.py. Raises Denied, Invalid or Conflict."""
    require(actor, "system.manage")
    wanted = {"name": name, "description": description, "vcpus": vcpus, "memory_mib": memory_mib}
    row = InstanceType()
    for field, value in instance_types.checked(row, wanted | {"options": options or {}}).items():
        setattr(row, field, value)
    rows.insert(row)
    record(
        "instance-type.created", actor=actor, subject=row, message=N_("Instance type %(name)s was made"), name=row.name
    )
    publish("instance-type", row.pk, "created")
    return row
