"""Instance types: what may be in one, and what of it a machine has."""

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from broker.access.actor import Actor

from . import machine_options, names
from .models import InstanceType, VirtualMachine
from .sizes import LEAST_MEMORY_MIB, MOST_MEMORY_MIB, MOST_VCPUS

VERBS = ("vm.create", "vm.edit", "system.view")


def instance_types(actor: Actor) -> QuerySet[InstanceType]:
    """All of them for whoever may make or change some machine or sees settings, none for others."""
    rows = InstanceType.objects.all()
    if actor.user and not any(actor.held(verb) for verb in VERBS):
        return rows.none()
    return rows


def checked(row: InstanceType, values: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `values` as they can be kept in `row`, of which the others stay. Raises Invalid."""
    kept: dict[str, Any] = {}
    if "name" in values:
        kept["name"] = names.name(values["name"])
    if "description" in values:
        kept["description"] = names.title(values["description"], field="description", longest=200)
    if "vcpus" in values:
        kept["vcpus"] = names.number(values["vcpus"], field="vcpus", least=1, most=MOST_VCPUS)
    if "memory_mib" in values:
        kept["memory_mib"] = names.number(
            values["memory_mib"], field="memory_mib", least=LEAST_MEMORY_MIB, most=MOST_MEMORY_MIB
        )
    if "options" in values:
        kept["options"] = machine_options.changed({}, values["options"])
    size = {name: kept.get(name, getattr(row, name)) for name in ("vcpus", "memory_mib", "options")}
    machine_options.ensure_fits(**size, machine="q35")
    return kept


def differs(vm: VirtualMachine) -> bool:
    """Whether the machine has another size than its type says now: one of the two was changed."""
    kind = vm.instance_type
    if kind is None:
        return False
    sizes = (vm.vcpus, vm.memory_mib) != (kind.vcpus, kind.memory_mib)
    return sizes or any(vm.options.get(name) != value for name, value in kind.options.items())
