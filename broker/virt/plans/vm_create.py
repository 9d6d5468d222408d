"""vm.create: choose a host, make the disk, write the definition, and start it if that was asked for."""

from dataclasses import replace
from functools import partial

from broker import sql
from broker.core.errors import NoCapacity
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.sql import Given, Statement, written
from broker.virt import cloning, cloud_init, specs, wiping, work
from broker.virt.driver import HostConnection, Refused, StorageSpec, VolumeInfo
from broker.virt.models import Disk, Host, Image, VirtualMachine
from broker.virt.placement.gather import place
from broker.virt.states import VM
from broker.virt.waking import wait_for_host


def choose_host(ctx: Context) -> None:
    """Write the host down before anything is made there."""
    vm = work.kept_machine(ctx)
    if vm.host is None:
        try:
            with ctx.write():
                host = sql.get(Host, place(vm).host.id)
                _PLACED.run(pk=vm.pk, host=host.pk)
        except NoCapacity as refusal:
            wait_for_host(ctx, vm, refusal)
        vm.host = host


_PLACED = Statement(lambda: written(VirtualMachine).filter(pk=Given("pk")).update(host=Given("host")))


def remove_row(ctx: Context) -> None:
    """The machine that could not be made is no more."""
    with ctx.write():
        VirtualMachine.objects.filter(pk=ctx.job.subject_id).delete()
        publish("vm", ctx.job.subject_id, "deleted")


def make_disk(ctx: Context) -> None:
    """An overlay on the template's image, a copy of it or of the library's, or a blank one; and cloud-init's words.

    Of a clone, copies of the original's disks.
    """
    vm = work.kept_machine(ctx)
    if ctx.args.get("source"):
        cloning.copy_disks(ctx, vm)
        return
    image = _image(ctx, vm)
    for disk in vm.disks.all():
        work.with_storage(ctx, work.host_of(vm), disk.storage, partial(_make, ctx, disk, image, vm.linked))
    if (seed := specs.seed_of(vm)) is not None:
        with cloud_init.seed(vm) as file:
            storage, volume = seed
            work.with_storage(
                ctx, work.host_of(vm), storage, lambda host, spec: host.store_volume(spec, volume, file)
            )  # fmt: skip


def _image(ctx: Context, vm: VirtualMachine) -> VolumeInfo | None:
    if vm.template_version is not None:
        return specs.version_volume(vm.template_version)
    if not (key := ctx.args.get("image")):
        return None
    return specs.image_volume(Image.objects.select_related("storage").get(pk=key))


def _make(
    ctx: Context, disk: Disk, image: VolumeInfo | None, linked: bool, host: HostConnection, storage: StorageSpec
) -> None:
    if image is None or linked:
        host.create_volume(storage, disk.volume, capacity=disk.size_bytes, backing=image)
    else:
        if storage.kind == "iscsi":  # it is made as large as it is to be: there it cannot grow before it runs
            image = replace(image, capacity=max(image.capacity, disk.size_bytes))
        host.copy_volume(storage, disk.volume, source=image, progress=ctx.progress)


def remove_disk(ctx: Context) -> None:
    vm = work.machine(ctx)
    if vm.host is None:
        return
    for disk in vm.disks.all():
        work.delete_volume(ctx, vm.host, disk.storage, disk.volume, wipe=wiping.of_row(disk))
        if ctx.args.get("seal"):
            work.delete_volume(ctx, vm.host, disk.storage, cloning.unsealed(disk), wipe=wiping.of_row(disk))
    if (seed := specs.seed_of(vm)) is not None:
        work.delete_volume(ctx, vm.host, *seed, wipe=seed[0].wipe_after_delete)


def define(ctx: Context) -> None:
    vm = work.kept_machine(ctx)
    try:
        if vm.cd is not None:
            work.with_storage(ctx, work.host_of(vm), vm.cd.storage, lambda host, storage: None)
        work.define(ctx, vm)
    except Refused:
        namesake = next((one for one in work.line(ctx, vm).observe() if one.name == vm.name), None)
        if namesake is None or namesake.uuid == str(vm.pk):
            raise
        raise Refused(
            N_("%(host)s has a machine called %(name)s already that Berth did not make."),
            fix=N_("Choose another name, or rename that machine on the host."),
            host=vm.host,
            name=vm.name,
        ) from None
    image = _image(ctx, vm)
    for disk in vm.disks.all():
        if image is not None and disk.size_bytes > image.capacity:
            work.line(ctx, vm).grow_disk(
                str(vm.pk), disk.target, specs.storage_spec(disk.storage), disk.volume, disk.size_bytes
            )  # fmt: skip


def undefine(ctx: Context) -> None:
    vm = work.machine(ctx)
    if vm.host is not None:
        host = work.line(ctx, vm)
        work.cut_power(host, str(vm.pk))
        host.undefine(str(vm.pk))


def make_ready(ctx: Context) -> None:
    vm = work.kept_machine(ctx)
    with ctx.write():
        if not _CREATED.run(pk=vm.pk):
            VM.move(vm, "created")  # says why not
        work.tell(ctx, vm, "vm.created", N_("%(name)s was created on %(host)s"), host=vm.host)


_CREATED = Statement(lambda: VM.attempt(written(VirtualMachine).filter(pk=Given("pk")), "created"))


def start(ctx: Context) -> None:
    """Started if asked for. A start that fails is told, and leaves a machine that can be started later."""
    work.start_if_asked(ctx, N_("%(name)s was created, but did not start: %(cause)s"))


register(
    Plan(
        "vm.create",
        N_("Create"),
        "vm",
        (
            Step("place", choose_host, N_("Choose a host"), undo=remove_row),
            Step("disk", make_disk, N_("Make the disk"), undo=remove_disk),
            Step("define", define, N_("Define the machine"), undo=undefine),
            Step(
                "ready", make_ready, N_("Finish"), probe=work.told("vm.created"), last_exit=True,
                no_undo="The row goes with the step “place”, whatever its state.",
            ),
            Step(
                "start", start, N_("Start it"),
                no_undo="The step “define” powers the machine off before it removes it.",
            ),
        ),
    )
)  # fmt: skip
