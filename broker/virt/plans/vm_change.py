"""vm.change: what was noted of a running machine is given to its run, as far as that can take it.

What QEMU has of it afterwards is written into the machine's rows and its definition; the rest stays noted with the
reason, for the next start. Guests take their time to let a part go or to fill the balloon: they are waited for.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import pending, work
from broker.virt.driver import DriverError, HostConnection, Refused, Running
from broker.virt.models import VirtualMachine
from broker.virt.pending_parts import PARTS
from broker.virt.running_parts import Waiting, give

WAITS, WAIT = 20, 0.5  # looks, seconds between them
LONGEST = 10.0  # seconds; a host may wait for the guest by itself, too


def change(ctx: Context) -> None:
    vm = work.machine(ctx)
    row = pending.of(vm)
    line = work.line(ctx, vm)
    noted: dict[str, Any] = {name: row.values[name] for name in pending.HOT if name in row.values} if row else {}
    parts = {pk: (kind, change) for kind, noted_of in pending.parts_of(row).items() for pk, change in noted_of.items()}
    done: dict[str, Any] = {}
    refused: dict[str, BerthError] = {}
    late: dict[str, Refused] = {}
    for name, value in (*noted.items(), *((pk, change) for pk, (_, change) in parts.items())):
        try:
            ctx.check()
            if name in parts:
                give(ctx, vm, parts[name][0], name, value)
            else:
                _own(line, vm, name, value)
            done[name] = value
        except Waiting as waiting:
            late[name] = waiting.refusal
        except DriverError as error:
            if error.retry:
                raise
            refused[name] = error
    if late and _patient(ctx):
        raise NotYet(WAIT, N_("Waiting for the guest"))
    _give_up(line, vm, late)
    kinds = {pk: kind for pk, (kind, _) in parts.items()}
    _write(ctx, line, vm, done, {**refused, **late}, kinds)
    work.define(ctx, work.machine(ctx))
    _tell(ctx, vm, done, {**refused, **late}, kinds)


def _patient(ctx: Context) -> bool:
    """Whether to look once more; counts the looks and the time since the first."""
    looks = ctx.args.get("looks", 0)
    since = datetime.fromisoformat(ctx.args["since"]) if looks else clock.now()
    if looks >= WAITS or (clock.now() - since).total_seconds() > LONGEST:
        return False
    ctx.save(looks=looks + 1, since=since.isoformat())
    return True


def _own(line: HostConnection, vm: VirtualMachine, name: str, wanted: int) -> None:
    uuid = str(vm.pk)
    has = line.running(uuid)
    if name == "balloon_mib":
        line.set_balloon(uuid, wanted or has.memory_mib)
        if (left := line.running(uuid).balloon_mib) != (wanted or has.memory_mib):
            raise Waiting(
                Refused(
                    N_("The guest has %(left)s MiB and does not follow the balloon."),
                    fix=N_("Look whether it has the driver virtio-balloon; or start it anew."), left=left,
                )
            )  # fmt: skip
        return
    present = has.vcpus if name == "vcpus" else has.memory_mib
    if wanted < present:
        raise Refused(
            N_("A run keeps the processors and the memory it was given."),
            fix=N_("Start it anew; memory can be lent from it by its balloon."),
        )
    (line.plug_vcpus if name == "vcpus" else line.plug_memory)(uuid, wanted)


def _give_up(line: HostConnection, vm: VirtualMachine, late: Mapping[str, Refused]) -> None:
    """A balloon nobody followed is let go, so that the guest does not shrink when nobody expects it any more."""
    if "balloon_mib" in late:
        before = vm.options.get("balloon_mib", 0)
        has = line.running(str(vm.pk)).memory_mib
        line.set_balloon(str(vm.pk), min(before or has, has))


def _write(
    ctx: Context,
    line: HostConnection,
    vm: VirtualMachine,
    done: Mapping[str, Any],
    refused: Mapping[str, BerthError],
    kinds: Mapping[str, str],
) -> None:
    """What QEMU says it has goes into the rows; one that stopped meanwhile keeps its notes for its next start."""
    try:
        has: Running | None = line.running(str(vm.pk))
    except Refused:
        has = None
    with ctx.write():
        row = VirtualMachine.objects.select_for_update().get(pk=vm.pk)
        fields: dict[str, Any] = {}
        if has is not None:
            fields = {name: getattr(has, name) for name in ("vcpus", "memory_mib") if name in done}
            if "balloon_mib" in done:
                fields["options"] = {**row.options, "balloon_mib": done["balloon_mib"]}
            for pk in done.keys() & kinds.keys():
                for part in PARTS[kinds[pk]].rows(vm, [pk]):
                    pending.settle_part(part, done[pk])
        if fields:
            VirtualMachine.objects.filter(pk=vm.pk).update(**fields)
        pending.settle(vm, done if has is not None else {}, refused)


def _tell(
    ctx: Context,
    vm: VirtualMachine,
    done: Mapping[str, Any],
    refused: Mapping[str, BerthError],
    kinds: Mapping[str, str],
) -> None:
    words = {
        "vcpus": "vcpus",
        "memory_mib": "memory",
        "balloon_mib": "balloon",
        "nics": "cards",
        "shared_disks": "shared disks",
        "devices": "host devices",
    }
    if not refused:
        fields = ", ".join(sorted({words[kinds.get(name, name)] for name in done})) or "–"
        message = N_("%(name)s was changed while it runs: %(fields)s")
        work.tell(ctx, vm, "vm.changed", message, fields=fields)
        return
    cause = next(iter(refused.values()))
    work.tell(
        ctx, vm, "vm.changed", N_("A change of %(name)s waits for its next start: %(cause)s"), severity="warning",
        cause=cause, explanation=cause.as_dict(),
    )  # fmt: skip


register(
    Plan(
        "vm.change",
        N_("Change"),
        "vm",
        (
            Step(
                "change", change, N_("Give the run what it can take"), probe=work.told("vm.changed"),
                no_undo="What the run took is in its rows and its definition; the rest stays noted, or can be undone.",
            ),
        ),
    )
)  # fmt: skip
