"""backup.make: copy a machine's disks to a target, all of them or what changed since the backup before.

args: `backup`, the row; `full`: the wish for a full one. A running machine is copied by its hypervisor, which notes
changes from that moment on; one that is off is copied whole.
"""

from functools import partial

from broker.backups import places
from broker.backups.deciding import decide, ours
from broker.backups.models import Backup, BackupDisk
from broker.backups.states import BACKUP
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.jobs.states import JobState
from broker.virt import specs, work
from broker.virt.driver import DriverError, HostConnection, NotFound, Refused, StorageSpec, VolumeInfo
from broker.virt.models import Disk, VirtualMachine

LOOK_AGAIN = 1.0  # seconds between two looks at a backup under way


def prepare(ctx: Context) -> None:
    """Decide of what kind it is, and write down every file before it is made."""
    vm = work.machine(ctx)
    decision = decide(_backup(ctx), vm, work.line(ctx, vm), wish_full=bool(ctx.args.get("full")))
    _write_down(ctx, vm, decision.live, decision.parent, decision.reason)


def _write_down(ctx: Context, vm: VirtualMachine, live: bool, parent: Backup | None, reason: str) -> None:
    kind = Backup.Kind.INCREMENTAL if parent else Backup.Kind.FULL
    key = ctx.args["backup"]
    with ctx.write():
        Backup.objects.filter(pk=key).update(
            live=live, parent=parent, kind=kind, reason=reason, checkpoint=f"berth-{key}" if live else ""
        )
        BackupDisk.objects.filter(backup=key).delete()
        BackupDisk.objects.bulk_create(
            BackupDisk(
                backup_id=key, target=disk.target, order=disk.order, source=disk.volume,
                volume=_file(key, disk.target, kind), capacity_bytes=disk.size_bytes,
            )
            for disk in vm.disks.all()
        )  # fmt: skip
        publish("backup", key, "changed")


def _file(key: str, target: str, kind: str) -> str:
    """Its kind is part of the name: one that has to begin again as a full one never meets the other's file."""
    return f"backup-{key}.{target}.{kind}.qcow2"


def remove_files(ctx: Context) -> None:
    """Nothing half-made stays; the row goes too, and a schedule's failure is told."""
    backup = Backup.objects.select_related("target__storage", "schedule").filter(pk=ctx.args["backup"]).first()
    if backup is None:
        return
    vm = work.machine(ctx)
    place, host = places.spec(backup.target), work.line(ctx, vm)
    host.ensure_storage(place)
    for disk in vm.disks.all():
        for kind in Backup.Kind.values:
            host.delete_volume(place, _file(str(backup.pk), disk.target, kind))
    with ctx.write():
        backup.delete()
        if backup.schedule is not None and ctx.job.outcome != JobState.CANCELLED:
            record(
                "backup.not-made", actor=JobActor(ctx.job), subject=vm, severity="error",
                message=N_("The backup of %(name)s by the schedule %(schedule)s failed: %(cause)s"),
                name=vm.name, schedule=backup.schedule.name, cause=ctx.job.cause, explanation=ctx.job.error,
            )  # fmt: skip
        publish("backup", ctx.args["backup"], "deleted")


def copy(ctx: Context) -> None:
    backup, vm = _backup(ctx), work.machine(ctx)
    work.line(ctx, vm).ensure_storage(places.spec(backup.target))
    if not backup.live:
        _copy_whole(ctx, backup, vm)
        return
    if "run" not in ctx.args:
        _begin(ctx, backup, vm)
    _follow(ctx, vm)


def _copy_whole(ctx: Context, backup: Backup, vm: VirtualMachine) -> None:
    """A machine that is off: nobody writes to its disks."""
    place, sources = places.spec(backup.target), {disk.target: disk for disk in vm.disks.all()}
    disks = list(backup.disks.all())
    for index, disk in enumerate(disks):
        source = work.with_storage(
            ctx, work.host_of(vm), sources[disk.target].storage, partial(_volume, sources[disk.target], disk.source)
        )  # fmt: skip

        def tell(share: float, done: int = index) -> None:
            ctx.progress((done + share) / len(disks), N_("Copying the disks"))

        work.line(ctx, vm).copy_volume(place, disk.volume, source=source, progress=tell)


def _volume(disk: Disk, name: str, host: HostConnection, storage: StorageSpec) -> VolumeInfo:
    found = host.volume(storage, name)
    if found is None:
        raise NotFound(
            N_("There is no volume “%(name)s” on the host."), fix=N_("Look whether somebody removed it."), name=name
        )
    return specs.image_of(disk.pk, found, disk.size_bytes)


def _begin(ctx: Context, backup: Backup, vm: VirtualMachine) -> None:
    """Once what changed turns out not to be known any more, it is a full one and says why."""
    host = work.line(ctx, vm)
    run = host.observe_one(str(vm.pk)).boot_id
    try:
        held = _begin_as(ctx, backup, vm, host)
    except Refused as error:
        if backup.parent is None:
            raise
        host.forget_checkpoints(str(vm.pk), ours(host, vm))
        for disk in backup.disks.all():
            host.delete_volume(places.spec(backup.target), disk.volume)
        _write_down(ctx, vm, True, None, error.message)
        backup = _backup(ctx)
        held = _begin_as(ctx, backup, vm, host)
    noted = backup.checkpoint in host.checkpoints(str(vm.pk))
    with ctx.write():
        Backup.objects.filter(pk=backup.pk).update(quiesced=held, checkpoint=backup.checkpoint if noted else "")
    ctx.save(run=run)


def _begin_as(ctx: Context, backup: Backup, vm: VirtualMachine, host: HostConnection) -> bool:
    place = places.spec(backup.target)
    below = {disk.target: disk for disk in backup.parent.disks.all()} if backup.parent else {}
    sources = {disk.target: disk for disk in vm.disks.all()}
    paths = {}
    for disk in backup.disks.all():
        whole = sources[disk.target]
        source = work.with_storage(ctx, work.host_of(vm), whole.storage, partial(_volume, whole, disk.source))
        base = places.volume(backup.target, below[disk.target]) if below else None
        made = host.create_volume(place, disk.volume, capacity=source.capacity, backing=base)
        BackupDisk.objects.filter(pk=disk.pk).update(capacity_bytes=source.capacity)
        paths[disk.target] = made.path
    since = backup.parent.checkpoint if backup.parent else ""
    return host.begin_backup(str(vm.pk), paths, checkpoint=backup.checkpoint, since=since)


def _follow(ctx: Context, vm: VirtualMachine) -> None:
    host = work.line(ctx, vm)
    look = host.look_at_backup(str(vm.pk))
    if host.observe_one(str(vm.pk)).boot_id != ctx.args["run"]:
        raise Refused(
            N_("%(name)s stopped in the middle of its backup."), fix=N_("Back it up again."), name=vm.name
        )  # fmt: skip
    if look is None:
        raise Refused(
            N_("Nobody knows how the backup of %(name)s ended: the host has done other work on it since."),
            fix=N_("Back it up again."), name=vm.name,
        )  # fmt: skip
    if look.running:
        ctx.progress(look.share, N_("Copying the disks"))
        raise NotYet(LOOK_AGAIN, N_("Copying the disks"))
    if look.error:
        raise Refused(
            N_("The host could not finish the backup of %(name)s: %(reason)s."),
            fix=N_("Look at the space on the target, then back it up again."), name=vm.name, reason=look.error,
        )  # fmt: skip


def stop(ctx: Context) -> None:
    """Break it off; the moment it noted is forgotten, so that the next backup counts from the one before."""
    backup, vm = _backup(ctx), work.machine(ctx)
    host, uuid = work.line(ctx, vm), str(vm.pk)
    try:
        host.stop_backup(uuid)
        look = host.look_at_backup(uuid)
        if look is not None and look.running:
            raise NotYet(LOOK_AGAIN, N_("Breaking off"))
        name = f"berth-{backup.pk}"
        if name not in host.checkpoints(uuid):
            return
        try:
            host.drop_checkpoint(uuid, name)
        except DriverError as error:
            if error.retry:
                raise
            # Dropping one without its notes would leave holes in those of the one before: all go.
            host.forget_checkpoints(uuid, ours(host, vm))
    except NotFound:
        return  # the host does not know the machine any more


def check(ctx: Context) -> None:
    """Read back what was written, and write down what it was."""
    backup, vm = _backup(ctx), work.machine(ctx)
    place, host = places.spec(backup.target), work.line(ctx, vm)
    disks = list(backup.disks.all())
    for index, disk in enumerate(disks):

        def tell(share: float, done: int = index) -> None:
            ctx.progress((done + share) / len(disks), N_("Computing checksums"))

        digest, size = host.checksum(place, disk.volume, progress=tell)
        with ctx.write():
            BackupDisk.objects.filter(pk=disk.pk).update(sha256=digest, size_bytes=size)


def finish(ctx: Context) -> None:
    backup, vm = _backup(ctx), work.machine(ctx)
    _drop_older(ctx, backup, vm)
    with ctx.write():
        size = sum(backup.disks.values_list("size_bytes", flat=True))
        BACKUP.move(backup, "made", size_bytes=size, finished_at=clock.now())
        publish("backup", backup.pk, "changed")
        work.tell(ctx, vm, "backup.made", N_("%(name)s was backed up to %(target)s"), target=backup.target.name)


def _drop_older(ctx: Context, backup: Backup, vm: VirtualMachine) -> None:
    """On this target the next one counts from this one; an older moment only costs the guest speed."""
    if not backup.checkpoint:
        return
    older = Backup.objects.filter(vm_key=vm.pk, target=backup.target).exclude(pk=backup.pk).exclude(checkpoint="")
    names = tuple(older.values_list("checkpoint", flat=True))
    host = work.line(ctx, vm)
    try:
        for name in set(host.checkpoints(str(vm.pk))) & set(names):
            host.drop_checkpoint(str(vm.pk), name)
    except DriverError:
        return  # the backup is made all the same, and the next one tries again


def _backup(ctx: Context) -> Backup:
    rows = Backup.objects.select_related("target__storage", "target__cluster", "parent", "schedule")
    return rows.get(pk=ctx.args["backup"])


register(
    Plan(
        "backup.make",
        N_("Back up"),
        "vm",
        (
            Step("prepare", prepare, N_("Look at the machine"), undo=remove_files),
            Step("copy", copy, N_("Copy the disks"), undo=stop),
            Step(
                "check", check, N_("Compute checksums"),
                no_undo="Only reads the files, which go with the step “prepare”.",
            ),
            Step(
                "finish", finish, N_("Finish"), probe=work.told("backup.made"), last_exit=True,
                no_undo="The last step: a transaction, after dropping moments that nothing counts from.",
            ),
        ),
    )
)  # fmt: skip
