"""vm.move-disks: disks are copied to another storage and put over to the copy; the rows follow each of them.

The copy may be of the other format, and lie on the same storage then.

args: `moves`, one entry a disk (`disk`, `target`, `from`, `old`, `to`, `new`, `generation`), `bandwidth` (bytes a
second, 0: no limit), `paused` (QEMU is let copy a byte a second), `storage` (its name), `converted` (to which format,
where that is what was asked for). While the machine runs QEMU keeps each copy the same until all are whole; else the
images are copied as files. When the machine starts or stops meanwhile, what is not over yet begins anew.
"""

from dataclasses import dataclass
from typing import Any

from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import foreign_snapshots, specs, wiping, work
from broker.virt.driver import NotFound, PowerState, Refused, VolumeInfo
from broker.virt.models import Disk, StorageDomain, VirtualMachine
from broker.virt.models.disk import Format, image_format

from .vm_create_disk import RUNS

LOOK_AGAIN = 0.5
MOVED, CONVERTED = "vm.disks-moved", "vm.disk-converted"


@dataclass(frozen=True, slots=True)
class Move:
    """One disk on its way; `row` as it is now."""

    row: Disk
    entry: dict[str, Any]
    there: StorageDomain
    left: StorageDomain

    @property
    def path(self) -> str:
        return specs.volume_path(self.there, self.entry["new"])

    @property
    def raw(self) -> bool:
        return image_format(self.row.pk, self.entry["new"]) == "raw"

    @property
    def over(self) -> bool:
        return self.row.volume == str(self.entry["new"])


def entry_of(disk: Disk, storage: StorageDomain, kind: Format | None = None) -> dict[str, Any]:
    """What is to become of a disk. `kind`: the copy's format; None: as it is, except that a LUN takes qcow2 only."""
    kind = kind or ("qcow2" if storage.kind == StorageDomain.Kind.ISCSI else disk.format)
    return {
        "disk": str(disk.pk), "target": disk.target, "from": str(disk.storage_id), "old": disk.volume,
        "to": str(storage.pk), "new": disk.volume_name(disk.generation + 1, kind), "generation": disk.generation + 1,
    }  # fmt: skip


def moves_of(ctx: Context) -> list[Move]:
    entries = ctx.args["moves"]
    ids = {entry[name] for entry in entries for name in ("from", "to")}
    storages = {str(one.pk): one for one in StorageDomain.objects.filter(pk__in=ids)}
    rows = {str(one.pk): one for one in Disk.objects.filter(pk__in=[entry["disk"] for entry in entries])}
    return [Move(rows[one["disk"]], one, storages[one["to"]], storages[one["from"]]) for one in entries]


def move(ctx: Context) -> None:
    vm = work.machine(ctx)
    _follow(ctx, vm)
    todo = [one for one in moves_of(ctx) if not one.over]
    if todo:
        power = work.observe(ctx, vm).power
        if power is not PowerState.MISSING:
            foreign_snapshots.refuse(work.line(ctx, vm), vm)
        mode = "live" if power in RUNS else "off"
        if ctx.args.get("mode") != mode:
            for one in todo:
                _delete(ctx, vm, one, one.there, one.entry["new"])
            ctx.save(mode=mode, since=clock.now().timestamp())
        if mode == "off":
            _copy(ctx, vm, todo)
        else:
            try:
                _mirror(ctx, vm, todo)
            except Refused:
                if work.observe(ctx, vm).power in RUNS:
                    raise
                raise NotYet(LOOK_AGAIN, N_("Copying")) from None  # it stopped: the copies are worth nothing
    work.define(ctx, work.machine(ctx))


def _mirror(ctx: Context, vm: VirtualMachine, todo: list[Move]) -> None:
    line, uuid = work.line(ctx, vm), str(vm.pk)
    for one in todo:
        if not work.has_volume(ctx, work.host_of(vm), one.there, one.entry["new"]):
            work.with_storage(
                ctx, work.host_of(vm), one.there,
                lambda line, spec, one=one: line.create_volume(  # type: ignore[misc]
                    spec, one.entry["new"], capacity=one.row.size_bytes, raw=one.raw
                ),
            )  # fmt: skip
    paused = bool(ctx.args.get("paused"))
    pace = 1 if paused else ctx.args["bandwidth"]
    shares = [line.mirror_disk(uuid, one.entry["target"], one.path, bandwidth=pace, raw=one.raw) for one in todo]
    if min(shares) < 1.0 or paused:
        _tell(ctx, sum(shares) / len(shares), paused=paused)
        raise NotYet(LOOK_AGAIN, N_("Held") if paused else N_("Copying"))
    for one in todo:
        if not line.pivot_disk(uuid, one.entry["target"], one.path):
            raise NotYet(LOOK_AGAIN, N_("Copying"))
        _put_over(ctx, vm, one)


def _copy(ctx: Context, vm: VirtualMachine, todo: list[Move]) -> None:
    for number, one in enumerate(todo):
        source = VolumeInfo(
            name=one.entry["old"], path=one.row.path or specs.volume_path(one.left, one.entry["old"]),
            format=one.row.format, capacity=one.row.size_bytes, allocation=one.row.allocated_bytes,
        )  # fmt: skip
        work.with_storage(
            ctx, work.host_of(vm), one.there,
            lambda line, spec, source=source, one=one, number=number: line.copy_volume(  # type: ignore[misc]
                spec, one.entry["new"], source=source, raw=one.raw,
                progress=lambda share: _tell(ctx, (number + share) / len(todo)),
            ),
        )  # fmt: skip
    if work.observe(ctx, vm).power in RUNS:
        raise NotYet(LOOK_AGAIN, N_("Copying"))  # somebody started it: the copies are old
    for one in todo:
        _put_over(ctx, vm, one)


def _follow(ctx: Context, vm: VirtualMachine) -> None:
    """A disk that was put over before its row could say so."""
    line = work.line(ctx, vm)
    for one in moves_of(ctx):
        if not one.over and _top(line.chain, str(vm.pk), one) == one.path:
            _put_over(ctx, vm, one)


def _top(chain: Any, uuid: str, one: Move) -> str:
    try:
        return str(next(iter(chain(uuid, one.entry["target"])), ""))
    except NotFound:
        return ""


def _put_over(ctx: Context, vm: VirtualMachine, one: Move) -> None:
    with ctx.write():
        Disk.objects.filter(pk=one.row.pk, volume=one.entry["old"]).update(
            storage=one.there, volume=one.entry["new"], path=one.path, generation=one.entry["generation"], below=""
        )
        publish("vm", vm.pk, "changed")


def _tell(ctx: Context, share: float, *, paused: bool = False) -> None:
    """How much is copied and how long it will go on at this pace."""
    if paused:
        ctx.progress(share, N_("Held; %(percent)s %% copied"), percent=int(share * 100))
        return
    taken = clock.now().timestamp() - ctx.args["since"]
    left = int(taken / share - taken) if share > 0.02 else None
    if left is None:
        ctx.progress(share, N_("Copying"))
    else:
        text = N_("%(percent)s %% copied, about %(seconds)s s left")
        ctx.progress(share, text, percent=int(share * 100), seconds=left)


def go_back(ctx: Context) -> None:
    """What is not over stays where it was. A disk that is over stays there: both places are whole."""
    vm = work.machine(ctx)
    line = work.line(ctx, vm)
    _follow(ctx, vm)
    for one in moves_of(ctx):
        if not one.over:
            line.stop_mirror(str(vm.pk), one.entry["target"])
    _follow(ctx, vm)  # it may have been put over between the look and the stop
    for one in moves_of(ctx):
        _tidy(ctx, vm, one)
    work.define(ctx, work.machine(ctx))


def _tidy(ctx: Context, vm: VirtualMachine, one: Move) -> None:
    storage, volume = (one.left, one.entry["old"]) if one.over else (one.there, one.entry["new"])
    _delete(ctx, vm, one, storage, volume)


def _delete(ctx: Context, vm: VirtualMachine, one: Move, storage: StorageDomain, volume: str) -> None:
    wipe = wiping.effective(one.row.wipe_after_delete, storage)
    work.delete_volume(ctx, work.host_of(vm), storage, volume, wipe=wipe)


def remove(ctx: Context) -> None:
    vm = work.machine(ctx)
    for one in moves_of(ctx):
        _tidy(ctx, vm, one)
    disks = ", ".join(entry["target"] for entry in ctx.args["moves"])
    if ctx.args.get("converted"):
        work.tell(
            ctx, vm, CONVERTED, N_("The disk %(disks)s of %(name)s is %(format)s now"), disks=disks,
            format=ctx.args["converted"],
        )  # fmt: skip
        return
    work.tell(
        ctx, vm, MOVED, N_("%(disks)s of %(name)s lie on %(storage)s now"),
        disks=disks, storage=ctx.args["storage"],
    )  # fmt: skip


def is_told(ctx: Context) -> bool:
    return not {MOVED, CONVERTED}.isdisjoint(ctx.args.get("told", []))


register(
    Plan(
        "vm.move-disks",
        N_("Move or convert disks of"),
        "vm",
        (
            Step("move", move, N_("Copy the disks"), undo=go_back, last_exit=True),
            Step(
                "remove", remove, N_("Remove the old images"), probe=is_told,
                no_undo="A removed file does not come back; the disks are whole where they are now.",
            ),
        ),
        patience=120.0,
    )
)  # fmt: skip
