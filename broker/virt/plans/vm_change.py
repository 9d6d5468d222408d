"""vm.change: what was noted of a running machine is given to its run, as far as that can take it.

What QEMU has of it afterwards is written into the machine's rows and its definition; the rest stays noted with the
reason, for the next start. Guests take their time to let a card go or to fill the balloon: they are waited for.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from broker.core import clock
from broker.core.errors import BerthError
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import pending, specs, work
from broker.virt.driver import DriverError, HostConnection, Refused, Running
from broker.virt.models import Nic, VirtualMachine

WAITS, WAIT = 20, 0.5  # looks, seconds between them
LONGEST = 10.0  # seconds; a host may wait for the guest by itself, too


class Waiting(Exception):
    """The guest was asked and has not done it yet; `refusal` is what is said when it never does."""

    def __init__(self, refusal: Refused) -> None:
        super().__init__()
        self.refusal = refusal


def change(ctx: Context) -> None:
    vm = work.machine(ctx)
    row = pending.of(vm)
    line = work.line(ctx, vm)
    noted: dict[str, Any] = {name: row.values[name] for name in pending.HOT if name in row.values} if row else {}
    cards: dict[str, Any] = row.values.get(pending.NICS, {}) if row else {}
    done: dict[str, Any] = {}
    refused: dict[str, BerthError] = {}
    late: dict[str, Refused] = {}
    for name, value in (*noted.items(), *cards.items()):
        try:
            ctx.check()
            if name in cards:
                _card(ctx, line, vm, name, value)
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
    _write(ctx, line, vm, done, {**refused, **late})
    work.define(ctx, work.machine(ctx))
    _tell(ctx, vm, done, {**refused, **late})


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


def _card(ctx: Context, line: HostConnection, vm: VirtualMachine, pk: str, change: Mapping[str, Any]) -> None:
    nic, uuid = Nic.objects.select_related("network").filter(vm=vm, pk=pk).first(), str(vm.pk)
    if nic is None:
        return
    if change.get("gone"):
        if not line.detach_nic(uuid, nic.mac):
            raise Waiting(
                Refused(
                    N_("The guest does not let the card %(mac)s go."),
                    fix=N_("Look whether its system has come up; or start it anew."), mac=nic.mac,
                )
            )  # fmt: skip
        return
    model = nic.model
    nic = pending.with_change(nic, change)
    work.ensure_network(ctx, work.host_of(vm), specs.network_spec(nic.network))
    if change.get("plug"):
        line.attach_nic(uuid, specs.nic_spec(nic))
        return
    if nic.model != model:
        raise Refused(N_("A card keeps its model while the machine runs."), fix=N_("Start the machine anew."))
    line.change_nic(uuid, specs.nic_spec(nic))


def _give_up(line: HostConnection, vm: VirtualMachine, late: Mapping[str, Refused]) -> None:
    """A balloon nobody followed is let go, so that the guest does not shrink when nobody expects it any more."""
    if "balloon_mib" in late:
        before = vm.options.get("balloon_mib", 0)
        has = line.running(str(vm.pk)).memory_mib
        line.set_balloon(str(vm.pk), min(before or has, has))


def _write(
    ctx: Context, line: HostConnection, vm: VirtualMachine, done: Mapping[str, Any], refused: Mapping[str, BerthError]
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
            for nic in Nic.objects.filter(vm=vm, pk__in=[pk for pk in done if pk not in pending.HOT]):
                pending.settle_card(nic, done[str(nic.pk)])
        if fields:
            VirtualMachine.objects.filter(pk=vm.pk).update(**fields)
        pending.settle(vm, done if has is not None else {}, refused)


def _tell(ctx: Context, vm: VirtualMachine, done: Mapping[str, Any], refused: Mapping[str, BerthError]) -> None:
    words = {"vcpus": "vcpus", "memory_mib": "memory", "balloon_mib": "balloon"}
    if not refused:
        fields = ", ".join(sorted({words.get(name, "cards") for name in done})) or "–"
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
