"""backup.delete: its files, then its row. What builds on it was looked at when it was accepted."""

from broker.backups import places
from broker.backups.models import Backup
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import hosts
from broker.virt.driver import DriverError


def gone(ctx: Context) -> bool:
    return not Backup.objects.filter(pk=ctx.job.subject_id).exists()


def remove_files(ctx: Context) -> None:
    backup = Backup.objects.select_related("target__storage", "target__cluster", "vm__host").get(pk=ctx.job.subject_id)
    place = places.spec(backup.target)
    host = hosts.guarded(ctx, places.host_for(backup.target))
    host.ensure_storage(place)
    for disk in backup.disks.all():
        host.delete_volume(place, disk.volume)
    _forget_moment(ctx, backup)


def _forget_moment(ctx: Context, backup: Backup) -> None:
    """Nothing counts from it any more. A machine that is off keeps it until its next backup drops it."""
    if backup.vm is None or backup.vm.host is None or not backup.checkpoint:
        return
    try:
        hosts.guarded(ctx, backup.vm.host).drop_checkpoint(str(backup.vm.pk), backup.checkpoint)
    except DriverError:
        return


def remove_row(ctx: Context) -> None:
    backup = Backup.objects.get(pk=ctx.job.subject_id)
    with ctx.write():
        record(
            "backup.deleted", actor=JobActor(ctx.job), subject=backup, message=N_("The backup %(name)s was deleted"),
            name=str(backup),
        )  # fmt: skip
        Backup.objects.filter(pk=backup.pk).delete()
        publish("backup", ctx.job.subject_id, "deleted")


register(
    Plan(
        "backup.delete",
        N_("Delete the backup"),
        "backup",
        (
            Step(
                "files", remove_files, N_("Remove the files"), probe=gone, last_exit=True,
                no_undo="A file that is gone does not come back: the backup stays in “deleting”, and the duty goes on.",
            ),
            Step(
                "row", remove_row, N_("Finish"), probe=gone,
                no_undo="A transaction: the row is gone, or nothing happened.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
