"""Change what a machine is called and how large it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Busy
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import machine_options, names, quotas
from broker.virt.asking import require_power, require_usable
from broker.virt.driver import PowerState
from broker.virt.models import VirtualMachine
from broker.virt.queries import active_jobs

from .create_vm import LEAST_MEMORY_MIB, MOST_MEMORY_MIB, MOST_VCPUS

HARDWARE = frozenset({"vcpus", "memory_mib", "options"})
OFF = (PowerState.OFF, PowerState.CRASHED, PowerState.MISSING)


@transaction.atomic
def edit_vm(
    *,
    actor: Actor,
    vm: VirtualMachine,
    title: str | None = None,
    description: str | None = None,
    vcpus: int | None = None,
    memory_mib: int | None = None,
    protected: bool | None = None,
    available: bool | None = None,
    priority: int | None = None,
    leased: bool | None = None,
    labels: Sequence[str] | None = None,
    options: Mapping[str, Any] | None = None,
) -> VirtualMachine:
    """Write what is given (None: leave); its host learns of it at the next start. The size and the hardware
    change only while off.

    `available`: restart it elsewhere when its host dies, by `priority` (0 to 100), also
    when nothing but the end of its host's lease on storage proves that (`leased`). `labels` are for affinity groups.
    `options`: what of the hardware is chosen anew, by machine_options.py.
    Raises Missing, Denied, Invalid, Conflict, Busy, or OverQuota (it could never be started); returns the machine as
    it is now.
    """
    require(actor, "vm.edit", vm)
    wanted: dict[str, Any] = {}
    if title is not None:
        wanted["title"] = names.title(title)
    if description is not None:
        wanted["description"] = names.description(description)
    if vcpus is not None:
        wanted["vcpus"] = names.number(vcpus, field="vcpus", least=1, most=MOST_VCPUS)
    if memory_mib is not None:
        wanted["memory_mib"] = names.number(
            memory_mib, field="memory_mib", least=LEAST_MEMORY_MIB, most=MOST_MEMORY_MIB
        )
    if protected is not None:
        wanted["protected"] = bool(protected)
    if available is not None:
        wanted["available"] = bool(available)
    if leased is not None:
        wanted["leased"] = bool(leased)
    if priority is not None:
        wanted["priority"] = names.number(priority, field="priority", least=0, most=100)
    if labels is not None:
        wanted["labels"] = names.labels(labels)
    vm = VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    if options is not None:
        wanted["options"] = machine_options.changed(vm.options, options)
    changed = {field: value for field, value in wanted.items() if getattr(vm, field) != value}
    if not changed:
        return vm
    require_usable(vm)
    if HARDWARE & changed.keys():
        after = {name: changed.get(name, getattr(vm, name)) for name in HARDWARE}
        machine_options.ensure_fits(**after, machine=vm.machine)
        require_power(vm, OFF)
        if job := active_jobs("vm", [vm.pk]).get(vm.pk):
            raise Busy(
                N_("%(name)s is busy: %(job)s."),
                fix=N_("Wait until that is done, or cancel it."),
                name=vm.name,
                job=job.title,
            )
    if sizes := {field: int(changed[field]) for field in ("vcpus", "memory_mib") if field in changed}:
        grown = {field: size for field, size in sizes.items() if size > getattr(vm, field)}
        quotas.ensure_size(vm, **{"vcpus": 0, "memory_mib": 0, **grown})
    VirtualMachine.objects.filter(pk=vm.pk).update(**changed)
    for field, value in changed.items():
        setattr(vm, field, value)
    fields = ", ".join(sorted(changed))
    record(
        "vm.edited",
        actor=actor,
        subject=vm,
        message=N_("%(name)s was changed: %(fields)s"),
        name=vm.name,
        fields=fields,
    )
    publish("vm", vm.pk, "changed")
    return vm
