"""vm.migrate: a running machine moves to another host. The source's hypervisor carries it, so a worker may die.

args: `host` (the id of the only target wanted, or ""), `policy` (or "": the cluster's). Whatever happens, the job
ends when exactly one copy is known to be left, and says on which host.
"""

from dataclasses import asdict
from functools import partial
from typing import Any
from uuid import UUID

from broker.core.errors import Conflict, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import hosts, specs, wiping, work
from broker.virt.driver import (
    DriverError,
    HostConnection,
    HostUnreachable,
    MigrationStats,
    NotFound,
    Refused,
    SavedPoints,
    StorageSpec,
)
from broker.virt.migrating import order
from broker.virt.migrating.arrival import UP, arrive, finish_target, tidy_source
from broker.virt.migrating.decide import Verdict
from broker.virt.migrating.move import Move, move_of, points_of, policy_of, settle, stats_of
from broker.virt.migrating.policies import Course, Measure, Rules, next_measure
from broker.virt.models import Cluster, Disk, Host, VirtualMachine
from broker.virt.placement.gather import place
from broker.virt.waking import wait_for_host

LOOK_EVERY, LOOK_EVERY_AT_FIRST = 0.5, 0.05
AT_FIRST_MS = 3000  # an idle machine has moved by then, and should not wait to be seen to have


# -- before ----------------------------------------------------------------------------------------------------


def choose_target(ctx: Context) -> None:
    """Write the target down; it counts there from now on. Where none that is on has room, one that sleeps is woken."""
    vm = work.machine(ctx)
    try:
        _choose(ctx, vm)
    except NoCapacity as refusal:
        asked = ctx.args.get("host")
        wait_for_host(ctx, vm, refusal, bound_to=UUID(asked) if asked else None, storages=order.needed(vm))


def _choose(ctx: Context, vm: VirtualMachine) -> None:
    """No more leave one host at once than the policy lets."""
    source = work.host_of(vm)
    with ctx.write():
        cluster = Cluster.objects.select_for_update().get(pk=vm.cluster_id)
        leaving = VirtualMachine.objects.filter(host=source, moving_to__isnull=False).exclude(pk=vm.pk)
        rules = Rules.of(cluster.migration)
        if leaving.count() >= (rules.at_once or policy_of(ctx, rules).at_once):
            raise NotYet(1.0, N_("Waiting until other machines have left %(host)s"), host=source)
        bound_to = UUID(ctx.args["host"]) if ctx.args.get("host") else None
        found = place(vm, bound_to=bound_to, leaving=source.pk, storages=order.needed(vm))
        target = Host.objects.get(pk=found.host.id)
        disks = order.copied(vm)
        storage = order.room_for(disks, target) if disks else None
        VirtualMachine.objects.filter(pk=vm.pk).update(moving_to=target)
        copies = {str(disk.pk): str(storage.pk) for disk in disks if storage}
        left = {str(disk.pk): str(disk.storage_id) for disk in disks}
        ctx.save(source=str(source.pk), target=str(target.pk), copies=copies, left=left)
        publish("vm", vm.pk, "moving")


def forget_target(ctx: Context) -> None:
    with ctx.write():
        VirtualMachine.objects.filter(pk=ctx.job.subject_id).update(moving_to=None)
        publish("vm", ctx.job.subject_id, "changed")


def prepare(ctx: Context) -> None:
    """Have on the target what the machine needs there, and images to copy into."""
    move = move_of(ctx)
    there = hosts.guarded(ctx, move.target)
    if there.observe_one(move.uuid).power in UP:
        raise Conflict(
            N_("%(name)s runs on %(host)s already."), rule="migration.once", fix=N_("Look at both hosts."),
            name=move.vm.name, host=move.target.name,
        )  # fmt: skip
    for nic in move.vm.nics.all():
        work.ensure_network(ctx, move.target, specs.network_spec(nic.network))
    along = {disk.pk: storage for disk, storage in move.copies}
    for disk in move.vm.disks.all():
        if disk.pk in along:
            work.with_storage(ctx, move.target, along[disk.pk], partial(_make_room, disk))
        elif not work.has_volume(ctx, move.target, disk.storage, disk.volume):
            raise Conflict(
                N_("%(host)s does not see %(volume)s on the storage %(storage)s."),
                rule="migration.same-files",
                fix=N_("Make sure that both hosts have the same files there, as by NFS."),
                host=move.target.name, volume=disk.volume, storage=disk.storage.name,
            )  # fmt: skip


def _make_room(disk: Disk, line: HostConnection, spec: StorageSpec) -> None:
    line.create_volume(spec, disk.volume, capacity=disk.size_bytes, raw=disk.format == "raw")


def remove_copies(ctx: Context) -> None:
    """The images on the host where the machine did not stay."""
    if not ctx.args.get("copies"):
        return
    move = move_of(ctx)
    if not ctx.args.get("moved"):
        for disk, storage in move.copies:
            wipe = wiping.effective(disk.wipe_after_delete, storage)
            work.delete_volume(ctx, move.target, storage, disk.volume, wipe=wipe)


def save_points(ctx: Context) -> None:
    """Snapshots stop a move, checkpoints are left behind: written down here, and made known again where it ends."""
    vm = work.machine(ctx)
    line = hosts.guarded(ctx, Host.objects.get(pk=ctx.args["source"]))
    if line.observe_one(str(vm.pk)).power not in UP:
        return
    if "points" not in ctx.args:
        ctx.save(points=asdict(line.saved_points(str(vm.pk))))
    if points_of(ctx) != SavedPoints():
        line.forget_points(str(vm.pk))


def restore_points(ctx: Context) -> None:
    vm = work.machine(ctx)
    if points_of(ctx) != SavedPoints():
        work.line(ctx, vm).restore_points(str(vm.pk), points_of(ctx))


# -- the move --------------------------------------------------------------------------------------------------


def begin(ctx: Context) -> None:
    move = move_of(ctx)
    here = hosts.guarded(ctx, move.source)
    ctx.save(begun=True)
    if here.observe_one(move.uuid).power in UP and here.migration(move.uuid) is None:
        wanted = order.order_of(move.vm, move.target, move.rules, move.policy, move.copies)
        try:
            here.begin_migration(move.uuid, wanted)
            here.adjust_migration(move.uuid, downtime_ms=move.policy.downtime_ms)
        except (NotFound, Refused):
            # A move that another worker began may have ended just then: where it is, the next step finds out.
            if here.observe_one(move.uuid).power in UP:
                raise
        except HostUnreachable:
            raise
        except DriverError as error:
            ctx.save(cause=str(error.params.get("reason") or error))  # where it is now, the next step finds out


def wait(ctx: Context) -> None:
    """Steer it while it goes on; when it has ended, find out where the machine is and write that down."""
    move = move_of(ctx)
    stats = stats_of(ctx, move)
    if stats is not None:
        _steer(ctx, move, stats)
    match settle(ctx, move):
        case Verdict.MOVED:
            arrive(ctx, move)
        case Verdict.STAYED:
            raise _stayed(ctx, move)
        case Verdict.STOPPED:
            raise Conflict(
                N_("%(name)s stopped while it was being moved."), rule="migration.stopped", fix=N_("Start it again."),
                name=move.vm.name,
            )  # fmt: skip
        case _:
            raise Conflict(
                N_("%(name)s was lost between %(source)s and %(target)s: each has a part of its memory."),
                rule="migration.lost", fix=N_("Power it off and start it anew."),
                name=move.vm.name, source=move.source.name, target=move.target.name,
            )  # fmt: skip


def _stayed(ctx: Context, move: Move) -> Conflict:
    told: dict[str, Any] = {"name": move.vm.name, "target": move.target.name, "source": move.source.name}
    if ctx.args.get("gave_up"):
        return Conflict(
            N_("%(name)s stays on %(source)s: its memory changes faster than it moves; “%(policy)s” gives up there."),
            rule="migration.converge", fix=N_("Try again when it is less busy, or with another migration policy."),
            policy=move.policy.title, **told,
        )  # fmt: skip
    if not ctx.args.get("cause"):
        return Conflict(
            N_("The move of %(name)s to %(target)s was broken off; it goes on on %(source)s."),
            rule="migration.broken-off", fix=N_("Look at both hosts and the network between them, and try again."),
            **told,
        )  # fmt: skip
    return Conflict(
        N_("%(name)s was not moved to %(target)s and goes on on %(source)s: %(cause)s"),
        rule="migration.stayed", fix=N_("See to the cause, or try another host or policy."),
        cause=ctx.args["cause"], **told,
    )  # fmt: skip


def stop_move(ctx: Context) -> None:
    """Cancel it. If it had arrived meanwhile, that is where it is; there is no way back."""
    if ctx.args.get("moved") or not ctx.args.get("begun"):
        return
    move = move_of(ctx)
    stats = stats_of(ctx, move)
    if stats is not None:
        if stats.post_copy:
            raise NotYet(1.0, N_("It runs on %(host)s already; its memory follows"), host=move.target)
        hosts.guarded(ctx, move.source).cancel_migration(move.uuid)
        raise NotYet(0.2)
    match settle(ctx, move):
        case Verdict.MOVED:
            arrive(ctx, move)
            finish_target(ctx, move)
            tidy_source(ctx, move)
        case Verdict.STAYED:
            try:
                hosts.guarded(ctx, move.source).finish_migration(move.uuid)
            except HostUnreachable:
                pass  # it has the machine, and whoever starts it there begins anew


def _steer(ctx: Context, move: Move, stats: MigrationStats) -> None:
    measure, course = next_measure(stats, move.policy, Course.of(ctx.args.get("course", {})))
    if measure is not None:
        _take(ctx, move, measure)
    ctx.save(course=course.stored(), throttle=stats.throttle_percent)
    if stats.total:
        share = 1 - stats.remaining / stats.total
        ctx.progress(
            share, N_("%(percent)s %% of its memory moved, %(mib)s MiB left, pass %(passes)s"),
            percent=int(share * 100), mib=stats.remaining >> 20, passes=stats.passes,
        )  # fmt: skip
    raise NotYet(LOOK_EVERY_AT_FIRST if stats.elapsed_ms < AT_FIRST_MS else LOOK_EVERY)


def _take(ctx: Context, move: Move, measure: Measure) -> None:
    here = hosts.guarded(ctx, move.source)
    match measure.kind:
        case "downtime":
            here.adjust_migration(move.uuid, downtime_ms=measure.downtime_ms)
        case "post-copy":
            here.begin_post_copy(move.uuid)
        case "abort":
            ctx.save(gave_up=True)
            here.cancel_migration(move.uuid)


# -- after -----------------------------------------------------------------------------------------------------


def finish(ctx: Context) -> None:
    """Put back what was taken out for the way, and leave nothing of the machine on the source."""
    move = move_of(ctx)
    told = finish_target(ctx, move)
    tidy_source(ctx, move)
    with ctx.write():
        work.tell(
            ctx, move.vm, "vm.migrated",
            N_("%(name)s was moved from %(source)s to %(host)s in %(seconds)s s; it stood still for %(downtime)s ms"),
            source=move.source.name, host=move.target.name, **told,
        )  # fmt: skip


register(
    Plan(
        "vm.migrate",
        N_("Migrate"),
        "vm",
        (
            Step(
                "place", choose_target, N_("Choose a host"), undo=forget_target,
                probe=lambda ctx: bool(ctx.args.get("target")),
            ),
            Step("prepare", prepare, N_("Prepare the host"), undo=remove_copies),
            Step("points", save_points, N_("Take down its snapshots"), undo=restore_points),
            Step("move", begin, N_("Begin"), undo=stop_move),
            Step(
                "wait", wait, N_("Move"), probe=lambda ctx: bool(ctx.args.get("moved")), last_exit=True,
                no_undo="The step “move” cancels what is under way; what has arrived stays where it is.",
            ),
            Step(
                "finish", finish, N_("Finish"), probe=work.told("vm.migrated"),
                no_undo="Nothing is left to undo: the machine runs on its new host.",
            ),
        ),
        patience=120.0,
    )
)  # fmt: skip
