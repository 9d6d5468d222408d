"""A disk of a running machine, copied as it is at one moment: by the hypervisor's own backup, while its guest works on.

What the guest writes meanwhile goes into the machine and not into the copy. Its agent holds the file systems for that
moment; without one the copy is as after a power cut. It keeps one arg: `live_run`, the run of the machine it began in.
"""

from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet

from . import specs, work
from .driver import DriverError, HostConnection, NotFound, Refused, StorageSpec, VolumeInfo
from .models import Disk, StorageDomain, VirtualMachine

LOOK_AGAIN = 1.0


def copy(ctx: Context, vm: VirtualMachine, disk: Disk, *, to: StorageDomain, name: str, moment: str) -> None:
    """Begin it, then ask until it has ended; it may be begun twice. `moment` names the checkpoint it needs meanwhile.

    Raises NotYet, and Refused when the machine stopped or the host could not.
    """
    host, uuid = work.line(ctx, vm), str(vm.pk)
    if not ctx.args.get("live_run"):
        run = host.observe_one(uuid).boot_id
        source = work.with_storage(ctx, work.host_of(vm), disk.storage, lambda line, place: _present(line, place, disk))
        made = work.with_storage(
            ctx, work.host_of(vm), to, lambda line, place: line.create_volume(place, name, capacity=source.capacity)
        )  # fmt: skip
        host.begin_backup(uuid, {disk.target: made.path}, checkpoint=moment)
        ctx.save(live_run=run)
    look = host.look_at_backup(uuid)
    if look is None or host.observe_one(uuid).boot_id != ctx.args["live_run"]:
        raise Refused(
            N_("%(name)s stopped in the middle of the copy."), fix=N_("Make the version again."), name=vm.name
        )  # fmt: skip
    if look.running:
        ctx.progress(look.share, N_("Copying the disk"))
        raise NotYet(LOOK_AGAIN, N_("Copying the disk"))
    if look.error:
        raise Refused(
            N_("The host could not finish the copy of %(name)s: %(reason)s."),
            fix=N_("Look at the space on the storage, or have the machine shut down for the copy."), name=vm.name,
            reason=look.error,
        )  # fmt: skip
    _forget(host, uuid, moment)


def stop(ctx: Context, vm: VirtualMachine, *, moment: str) -> None:
    """Break it off and forget its moment; done when there is none. Raises NotYet."""
    host, uuid = work.line(ctx, vm), str(vm.pk)
    try:
        host.stop_backup(uuid)
        look = host.look_at_backup(uuid)
        if look is not None and look.running:
            raise NotYet(LOOK_AGAIN, N_("Breaking off"))
        _forget(host, uuid, moment)
    except NotFound:
        return  # the host does not know the machine any more


def _present(line: HostConnection, place: StorageSpec, disk: Disk) -> VolumeInfo:
    found = line.volume(place, disk.volume)
    if found is None:
        raise NotFound(
            N_("There is no volume “%(name)s” on the host."), fix=N_("Look whether somebody removed it."),
            name=disk.volume,
        )  # fmt: skip
    return specs.image_of(disk.pk, found, disk.size_bytes)


def _forget(host: HostConnection, uuid: str, moment: str) -> None:
    if moment not in host.checkpoints(uuid):
        return
    try:
        host.drop_checkpoint(uuid, moment)
    except DriverError as error:
        if error.retry:
            raise
        # Dropping one without its notes would leave holes in those of the one before: the next backup is a full one.
        host.forget_checkpoints(uuid, tuple(name for name in host.checkpoints(uuid) if name.startswith("berth-")))
