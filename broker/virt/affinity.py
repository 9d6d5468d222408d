"""What the actions on affinity groups share: their input, checked."""

from collections.abc import Iterable
from typing import Any

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_

from . import names
from .models import AffinityGroup, Cluster, Host, VirtualMachine

RULES = frozenset(AffinityGroup.Rule.values)


def checked(values: dict[str, Any]) -> dict[str, Any]:
    """The columns among `values`, checked; None is left out. Raises Invalid."""
    found = {field: value for field, value in values.items() if value is not None}
    for field in ("machine_rule", "host_rule"):
        if field in found and found[field] not in RULES:
            raise Invalid(N_("There is no such rule."), field=field, fix=N_("Use “together”, “apart”, or nothing."))
    for field in ("machine_label", "host_label"):
        if found.get(field):
            names.name(found[field], field=field)
    if "name" in found:
        names.name(found["name"])
    return found


def members(
    actor: Actor, cluster: Cluster, machines: Iterable[VirtualMachine] | None, hosts: Iterable[Host] | None
) -> None:
    """Raise Missing for members the actor may not see, Invalid for those of another cluster."""
    for field, rows, verb in (("machines", machines or (), "vm.view"), ("hosts", hosts or (), "host.view")):
        for row in rows:
            require(actor, verb, row)
            if row.cluster_id != cluster.pk:
                raise Invalid(
                    N_("%(name)s belongs to another cluster."), field=field,
                    fix=N_("Choose members of the group's own cluster."), name=row.name,
                )  # fmt: skip
