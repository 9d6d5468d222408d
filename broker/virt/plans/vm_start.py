"""vm.start: on a host that may run it, with an up-to-date definition; done when it was seen running.

args: `host`, where it has to run; `boot`, what this run boots from; `cd`, the image in the drive of this run; `words`,
sealed, what cloud-init is told anew, and `words_on`, the storage where they are to lie; `recovery`: its host was lost,
and a disk in use means that it was not.
"""

from uuid import UUID

from broker.core import clock
from broker.core.errors import Conflict, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.virt import cloud_init, host_devices, hosts, lost_images, pending, specs, work
from broker.virt.driver import DriverError, Locked, NotFound, PowerState, Refused
from broker.virt.ha.loss import lost_epoch
from broker.virt.models import Host, Image, Recovery, VirtualMachine
from broker.virt.placement.gather import lacks_hardware, place
from broker.virt.states import HOST, RecoveryState
from broker.virt.turns import wait_for_turn
from broker.virt.waking import wait_for_host

UP = (PowerState.RUNNING, PowerState.PAUSED)
LOCK_SECONDS = 8.0  # a QEMU that is being killed has gone by then


def choose_host(ctx: Context) -> None:
    """When its turn comes: keep the host unless it is in maintenance or lacks what the machine is made for.

    Then another that sees the disks; where none has room, one that sleeps is woken.
    """
    try:
        _choose(ctx)
    except NoCapacity as refusal:
        asked = ctx.args.get("host")
        wait_for_host(ctx, work.machine(ctx), refusal, bound_to=UUID(asked) if asked else None)


def _choose(ctx: Context) -> None:
    vm = work.machine(ctx)
    asked = ctx.args.get("host")
    wait_for_turn(ctx, vm, Host.objects.filter(pk=asked).first() if asked else vm.host)
    if pending.is_off(vm):
        with ctx.write():
            pending.fold(vm)
    if ctx.args.get("host"):
        with ctx.write():
            _go_to(ctx, vm)
        return
    if vm.host is not None and (epoch := lost_epoch(vm.host)):
        with ctx.write():
            # Proof that the copy there is stale: its host was found dead, and the machine is off.
            Recovery.objects.create(vm=vm, host=vm.host, epoch=epoch, state=RecoveryState.DONE, created_at=clock.now())
            VirtualMachine.objects.filter(pk=vm.pk).update(host_id=place(vm).host.id, shutdown_asked_at=None)
        return
    saved = vm.power_state == PowerState.SUSPENDED
    if vm.host is not None and HOST.is_(vm.host.state, "schedulable") and (saved or not lacks_hardware(vm)):
        if vm.shutdown_asked_at is not None:
            with ctx.write():
                VirtualMachine.objects.filter(pk=vm.pk).update(shutdown_asked_at=None)
        return
    if vm.host is not None and saved:
        raise Conflict(
            N_("%(host)s is in maintenance, and the saved memory of %(name)s lies there."),
            rule="power.saved-memory",
            fix=N_("Activate the host, or power the machine off to drop the saved memory."),
            host=vm.host.name,
            name=vm.name,
        )
    with ctx.write():
        left = vm.host_id
        VirtualMachine.objects.filter(pk=vm.pk).update(host_id=place(vm).host.id, shutdown_asked_at=None)
        ctx.save(left=str(left) if left else "")


def _go_to(ctx: Context, vm: VirtualMachine) -> None:
    """To the host that was asked for, if it can; the one before is left by `prepare`."""
    asked, left = UUID(ctx.args["host"]), vm.host_id
    if asked != left:
        VirtualMachine.objects.filter(pk=vm.pk).update(host_id=place(vm, bound_to=asked).host.id)
        ctx.save(left=str(left) if left else "")
    VirtualMachine.objects.filter(pk=vm.pk, shutdown_asked_at__isnull=False).update(shutdown_asked_at=None)


def prepare(ctx: Context) -> None:
    """Storage, networks and definition on the host. Saved memory belongs to the definition it was saved with."""
    vm = work.machine(ctx)
    if vm.power_state == PowerState.SUSPENDED and work.observe(ctx, vm).power is PowerState.SUSPENDED:
        return
    left = Host.objects.filter(pk=ctx.args["left"]).first() if ctx.args.get("left") else None
    if left is not None:
        _leave(ctx, vm, left)
    if vm.devices.all():
        host_devices.require_startable(vm)
    for storage in {disk.storage for disk in vm.disks.all()}:
        work.ensure_storage(ctx, work.host_of(vm), storage)
    if ctx.args.get("words"):
        vm = _tell_anew(ctx, vm)
    cd = _cd(ctx)
    for other in specs.other_storages(vm) | ({cd.storage} if cd else set()):
        work.ensure_storage(ctx, work.host_of(vm), other)
    _have_seed(ctx, vm)
    work.define(ctx, vm)
    if vm.run_cd_id != (cd.pk if cd else None):
        with ctx.write():
            VirtualMachine.objects.filter(pk=vm.pk).update(run_cd=cd)


def _cd(ctx: Context) -> Image | None:
    """The CD of this run. One that was deleted since it was asked for is missed here and not on the host."""
    if not ctx.args.get("cd"):
        return None
    cd = Image.objects.select_related("storage").filter(pk=ctx.args["cd"]).first()
    if cd is None:
        raise Conflict(N_("The CD is gone."), rule="image.usable", fix=N_("Choose another one."))
    return cd


def _tell_anew(ctx: Context, vm: VirtualMachine) -> VirtualMachine:
    """Other words for cloud-init are the machine's; the CD with those before goes."""
    with ctx.write():
        VirtualMachine.objects.filter(pk=vm.pk).update(cloud_init=ctx.args["words"], seed_on=ctx.args["words_on"])
    vm = work.machine(ctx)
    if (seed := specs.seed_of(vm)) is not None:
        work.delete_volume(ctx, work.host_of(vm), *seed, wipe=seed[0].wipe_after_delete)
    return vm


def _have_seed(ctx: Context, vm: VirtualMachine) -> None:
    """Its CD for cloud-init is there: written from its words where it is missing, for it can always be made again."""
    if (seed := specs.seed_of(vm)) is None or work.has_volume(ctx, work.host_of(vm), *seed):
        return
    storage, volume = seed
    with cloud_init.seed(vm) as file:
        work.with_storage(ctx, work.host_of(vm), storage, lambda host, spec: host.store_volume(spec, volume, file))


def _leave(ctx: Context, vm: VirtualMachine, left: Host) -> None:
    """Forget the machine on the host it was on before; refused while it runs there."""
    host = hosts.guarded(ctx, left)
    if host.observe_one(str(vm.pk)).power in UP:
        raise Conflict(
            N_("%(name)s still runs on %(host)s."),
            rule="power.off",
            fix=N_("Shut it down there first."),
            name=vm.name,
            host=left.name,
        )
    host.undefine(str(vm.pk))


def start(ctx: Context) -> None:
    """When the host says no, the images are looked at: a lost one is named with what would help."""
    vm = work.machine(ctx)
    try:
        cd = _cd(ctx)
        work.line(ctx, vm).start(str(vm.pk), boot=ctx.args.get("boot", ""), cd=specs.cd_spec(cd) if cd else None)
    except DriverError as error:
        if ctx.args.get("recovery") and isinstance(error, Locked) and _age(ctx) > LOCK_SECONDS:
            raise StillInUse(error.template, fix=error.fix_template, **error.params) from error
        if not error.retry and (lost := lost_images.blame(ctx, vm)) is not None:
            raise lost from error
        raise


class StillInUse(Locked):
    """For a recovery: it is told, and tried again as the cluster's settings say."""

    retry = False


def _age(ctx: Context) -> float:
    return (clock.now() - ctx.job.created_at).total_seconds()


def see_running(ctx: Context) -> None:
    vm = work.machine(ctx)
    seen = work.observe(ctx, vm)
    if seen.power is PowerState.MISSING:
        raise NotFound(N_("%(name)s is gone from %(host)s."), fix=N_("Start it again."), name=vm.name, host=vm.host)
    if seen.power is PowerState.UNKNOWN:
        raise NotYet(0.5, N_("Waiting for the host to say that it runs"))
    if seen.power not in UP:
        raise Refused(
            N_("%(name)s stopped right after its start (%(reason)s)."),
            fix=N_("Look at its screen and disk; start it again."),
            name=vm.name,
            reason=seen.reason or seen.power,
        )
    work.tell(ctx, vm, "vm.started", N_("%(name)s was started on %(host)s"), host=vm.host)


register(
    Plan(
        "vm.start",
        N_("Start"),
        "vm",
        (
            Step(
                "place", choose_host, N_("Choose a host"),
                no_undo="A machine that is off may be said to be on any host; the next start keeps or changes it.",
            ),
            Step(
                "prepare", prepare, N_("Bring its definition up to date"), last_exit=True,
                no_undo="The definition says what the database says, which is right whether it starts or not.",
            ),
            Step("start", start, N_("Start it"), no_undo="A start that fails leaves the machine off."),
            Step(
                "see", see_running, N_("See it running"), probe=work.told("vm.started"),
                no_undo="Only looks; a machine that stopped again is off already.",
            ),
        ),
    )
)  # fmt: skip
