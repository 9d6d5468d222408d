"""Change what a machine is called, what is noted of it, and its hardware: now, while it runs, or at its next start."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.virt import autostart as starting
from broker.virt import machine_options, names, own, pending, quotas, rows
from broker.virt.asking import require_idle, require_power, require_usable
from broker.virt.models import InstanceType, VirtualMachine
from broker.virt.sizes import LEAST_MEMORY_MIB, MOST_MEMORY_MIB, MOST_VCPUS

SIZES = ("vcpus", "memory_mib")


@transaction.atomic
def edit_vm(
    *,
    actor: Actor,
    vm: VirtualMachine,
    name: str | None = None,
    title: str | None = None,
    description: str | None = None,
    notes: str | None = None,
    instance_type: InstanceType | None = None,
    vcpus: int | None = None,
    memory_mib: int | None = None,
    protected: bool | None = None,
    available: bool | None = None,
    priority: int | None = None,
    leased: bool | None = None,
    on_error: str | None = None,
    autostart: bool | None = None,
    autostart_order: int | None = None,
    autostart_delay: int | None = None,
    labels: Sequence[str] | None = None,
    tags: Sequence[str] | None = None,
    own_fields: Mapping[str, str] | None = None,
    options: Mapping[str, Any] | None = None,
    graphics: Collection[str] | None = None,
    now: bool = True,
) -> VirtualMachine:
    """Write what is given (None: leave).

    Size and `options` (machine_options.py) of a machine that is off count at once. Of one that runs they are noted in
    its PendingChange, for its next start; `now`: what its run can take of them is given to it by a job. It is renamed
    only while off, and only then gets other screens (`graphics`: "vnc", "spice" or both).
    What `instance_type` says counts where nothing else is given; the machine remembers it.
    `tags` and `own_fields` replace those there are.
    `available`: restart it elsewhere when its host dies, by `priority` (0 to 100), also
    when nothing but the end of its host's lease on storage proves that (`leased`). `labels` are for affinity groups.
    `on_error`: what is done when a disk is full or fails, one of VirtualMachine.OnError; whether its host pauses it
    counts from its next start.
    `autostart`: start it when its host was rebooted, those of a lower `autostart_order` (0 to 100) before; those of a
    higher one `autostart_delay` seconds after it. A highly available machine goes by its own rules instead.
    Raises Missing, Denied, Invalid, Conflict, Busy, or OverQuota (it could never be started); returns the machine as
    it is now.
    """
    require(actor, "vm.edit", vm)
    wanted: dict[str, Any] = {}
    if name is not None:
        wanted["name"] = names.name(name)
    if title is not None:
        wanted["title"] = names.title(title)
    if description is not None:
        wanted["description"] = names.description(description)
    if notes is not None:
        wanted["notes"] = names.description(notes, field="notes")
    if protected is not None:
        wanted["protected"] = bool(protected)
    if available is not None:
        wanted["available"] = bool(available)
    if leased is not None:
        wanted["leased"] = bool(leased)
    if on_error is not None:
        wanted["on_error"] = _on_error(on_error)
    if autostart is not None:
        wanted["autostart"] = bool(autostart)
    if autostart_order is not None:
        wanted["autostart_order"] = starting.checked_order(autostart_order)
    if autostart_delay is not None:
        wanted["autostart_delay"] = starting.checked_delay(autostart_delay)
    if priority is not None:
        wanted["priority"] = names.number(priority, field="priority", least=0, most=100)
    if labels is not None:
        wanted["labels"] = names.labels(labels)
    if graphics is not None:
        wanted["graphics"] = machine_options.checked_graphics(graphics)
    if instance_type is not None:
        wanted["instance_type"] = instance_type
        vcpus = instance_type.vcpus if vcpus is None else vcpus
        memory_mib = instance_type.memory_mib if memory_mib is None else memory_mib
        options = {**instance_type.options, **(options or {})}
    hardware = _hardware(vcpus, memory_mib, options)
    vm = VirtualMachine.objects.select_for_update().get(pk=vm.pk)
    changed = {field for field, value in wanted.items() if getattr(vm, field) != value}
    if changed:
        require_usable(vm)
    if "autostart" in changed and autostart:
        starting.require_possible(vm)
    if changed & {"name", "graphics"}:
        require_power(vm, pending.OFF)
        require_idle(vm)
    rows.change(vm, wanted)
    changed |= own.write(vm, tags=tags, fields=own_fields)
    if hardware:
        changed |= _change_hardware(actor, vm, hardware, now=now)
    if not changed:
        return vm
    record(
        "vm.edited", actor=actor, subject=vm, message=N_("%(name)s was changed: %(fields)s"), name=vm.name,
        fields=", ".join(sorted(changed)),
    )  # fmt: skip
    publish("vm", vm.pk, "changed")
    return vm


def _on_error(given: str) -> str:
    if given not in VirtualMachine.OnError.values:
        raise Invalid(
            N_("A machine cannot do this when a disk fails."), field="on_error", fix=N_("Use one of: %(known)s."),
            known=", ".join(VirtualMachine.OnError.values),
        )  # fmt: skip
    return given


def _hardware(vcpus: int | None, memory_mib: int | None, options: Mapping[str, Any] | None) -> dict[str, Any]:
    """What is wanted of it, checked one by one."""
    wanted: dict[str, Any] = {}
    if vcpus is not None:
        wanted["vcpus"] = names.number(vcpus, field="vcpus", least=1, most=MOST_VCPUS)
    if memory_mib is not None:
        wanted["memory_mib"] = names.number(
            memory_mib, field="memory_mib", least=LEAST_MEMORY_MIB, most=MOST_MEMORY_MIB
        )
    if options is not None:
        wanted |= machine_options.changed({}, options)
    return wanted


def _change_hardware(actor: Actor, vm: VirtualMachine, wanted: Mapping[str, Any], *, now: bool) -> set[str]:
    """At once while it is off, else noted, and given to its run if that may take any of it; returns what changed."""
    off = pending.is_off(vm)
    before = pending.hardware(vm, pending.of(vm))
    after = {size: wanted.get(size, before[size]) for size in SIZES}
    options = {**before["options"], **{name: value for name, value in wanted.items() if name not in SIZES}}
    if (after | {"options": options}) == before:
        return set()
    require_usable(vm)
    machine_options.ensure_fits(**after, options=options, machine=vm.machine)
    grown = {size: after[size] if after[size] > getattr(vm, size) else 0 for size in SIZES}
    if any(grown.values()):
        quotas.ensure_size(vm, **grown)
    if off:
        require_idle(vm)
        pending.fold(vm)
        changed = {field for field, value in {**after, "options": options}.items() if getattr(vm, field) != value}
        rows.change(vm, {**after, "options": options})
        return changed
    changed = pending.keep(vm, wanted, actor=actor)
    if now and vm.power_state in pending.UP and changed & set(pending.HOT):
        quotas.claim_growth(actor, vm, **{size: after[size] if size in changed else 0 for size in SIZES})
        enqueue("vm.change", actor=actor, subject=vm)
    return changed
