"""backup.verify: are the files those that were written, and can a machine's disks be made of them?

Every file of the chain is read and compared with its checksum; then each disk is restored into a scratch image, which
is compared with the chain as a guest would read both.
"""

from broker.backups import places
from broker.backups.models import Backup
from broker.backups.states import BACKUP
from broker.core import clock
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import hosts, work
from broker.virt.driver import HostConnection, NotFound, Refused, Unsupported


def checksums(ctx: Context) -> None:
    backup = _backup(ctx)
    place, host = places.spec(backup.target), _host(ctx, backup)
    host.ensure_storage(place)
    disks = [(one, disk) for one in places.chain(backup) for disk in one.disks.all()]
    for index, (one, disk) in enumerate(disks):

        def tell(share: float, done: int = index) -> None:
            ctx.progress((done + share) / len(disks), N_("Reading the files"))

        try:
            digest, _ = host.checksum(place, disk.volume, progress=tell)
        except NotFound:
            digest = ""
        if digest != disk.sha256:
            _spoilt(ctx, one, N_("The file %(volume)s is not what was written."), disk.volume)


def restore(ctx: Context) -> None:
    backup = _backup(ctx)
    place, host = places.spec(backup.target), _host(ctx, backup)
    for disk in backup.disks.all():
        scratch = _scratch(backup, disk.target)
        copy = host.copy_volume(place, scratch, source=places.volume(backup.target, disk), progress=ctx.progress)
        try:
            same = host.same_contents(place, disk.volume, scratch)
        except Unsupported:
            same = copy.capacity == disk.capacity_bytes
        host.delete_volume(place, scratch)
        if not same:
            _spoilt(ctx, backup, N_("What is restored from %(volume)s differs from it."), disk.volume)


def remove_scratch(ctx: Context) -> None:
    backup = _backup(ctx)
    for disk in backup.disks.all():
        _host(ctx, backup).delete_volume(places.spec(backup.target), _scratch(backup, disk.target))


def finish(ctx: Context) -> None:
    backup = _backup(ctx)
    with ctx.write():
        ctx.save(told=[*ctx.args.get("told", []), "backup.verified"])
        BACKUP.attempt(Backup.objects.filter(pk=backup.pk), "heal")
        Backup.objects.filter(pk=backup.pk).update(verified_at=clock.now(), error="")
        record(
            "backup.verified", actor=JobActor(ctx.job), subject=backup, message=N_("The backup %(name)s is whole"),
            name=str(backup),
        )  # fmt: skip
        publish("backup", backup.pk, "changed")


def _spoilt(ctx: Context, backup: Backup, message: str, volume: str) -> None:
    """Mark the one whose file it is, tell, and end the job with the same words."""
    error = Refused(message, fix=N_("Make a new full backup, and look at the disk the target is on."), volume=volume)
    with ctx.write():
        BACKUP.attempt(Backup.objects.filter(pk=backup.pk), "spoil")
        Backup.objects.filter(pk=backup.pk).update(error=error.message)
        record(
            "backup.broken", actor=JobActor(ctx.job), subject=backup, severity="error",
            message=N_("The backup %(name)s cannot be trusted: %(cause)s"), name=str(backup), cause=error.message,
        )  # fmt: skip
        publish("backup", backup.pk, "changed")
    raise error


def _scratch(backup: Backup, target: str) -> str:
    return f"verify-{backup.pk}.{target}.qcow2"


def _backup(ctx: Context) -> Backup:
    return Backup.objects.select_related("target__storage", "target__cluster").get(pk=ctx.job.subject_id)


def _host(ctx: Context, backup: Backup) -> HostConnection:
    return hosts.guarded(ctx, places.host_for(backup.target))


register(
    Plan(
        "backup.verify",
        N_("Verify the backup"),
        "backup",
        (
            Step("sums", checksums, N_("Read the files"), no_undo="Only reads."),
            Step("restore", restore, N_("Restore into a scratch image and compare"), undo=remove_scratch),
            Step(
                "finish", finish, N_("Finish"), probe=work.told("backup.verified"), last_exit=True,
                no_undo="A transaction: written down, or nothing happened.",
            ),
        ),
    )
)  # fmt: skip
