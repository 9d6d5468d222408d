"""template.make: a template version from a machine. Its subject is the machine, so that nobody starts it meanwhile.

args: `version`, the row made when the job was accepted; `disk`; `snapshot` that holds it, or ""; `seal`; `inside`, to
seal through the agent first; `start`, whether it ran and is to run again; `live`, whether it runs on. The flat copy
lies beside the version's volume under another name until it is sealed, so whatever is at the version's own name is
whole and sealed.
"""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from django.conf import settings

from broker.core.errors import Conflict, Unavailable
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import live_copy, specs, work
from broker.virt.cloning import Original, originals
from broker.virt.driver import HostConnection, NotFound, StorageSpec, Unsupported, VolumeInfo
from broker.virt.models import TemplateVersion, VirtualMachine
from broker.virt.sealing.image import seal_image
from broker.virt.sealing.inside import script
from broker.virt.sealing.seal import Report
from broker.virt.states import VERSION, VersionState

from . import vm_shutdown
from .template_import import host_for

INSIDE_SECONDS = 120.0


def _version(ctx: Context) -> TemplateVersion:
    return TemplateVersion.objects.select_related("storage", "template").get(pk=ctx.args["version"])


def seal_inside(ctx: Context) -> None:
    """Begin the script, then ask until it has ended. It may be begun twice: what is gone is gone."""
    if not ctx.args.get("inside"):
        return
    vm = work.machine(ctx)
    line = work.line(ctx, vm)
    if not (run := ctx.args.get("run")):
        run = line.begin_in_guest(str(vm.pk), script())
        ctx.save(run=run, asked_times=0)
    ended = line.ended_in_guest(str(vm.pk), run)
    if ended is None:
        if (times := ctx.args.get("asked_times", 0)) >= INSIDE_SECONDS:
            raise Conflict(
                N_("Sealing inside %(name)s took too long."),
                rule="version.seal", fix=N_("Look what keeps it busy, or seal its image only."),
                name=vm.name,
            )  # fmt: skip
        ctx.save(asked_times=times + 1)
        raise NotYet(1.0, N_("Sealing inside the machine"))
    if ended.code:
        raise Conflict(
            N_("Sealing inside %(name)s failed: %(output)s"), rule="version.seal",
            fix=N_("Look at the machine, or seal its image only."),
            name=vm.name, output=ended.output.strip()[-300:] or ended.code,
        )  # fmt: skip
    work.tell(ctx, vm, "vm.sealed-inside", N_("%(name)s was sealed from inside"))


def remove_row(ctx: Context) -> None:
    with ctx.write():
        rows = TemplateVersion.objects.filter(pk=ctx.args["version"], state=VersionState.BUILDING)
        for version in rows:
            publish("template", version.template_id, "changed")
        rows.delete()


def shut_down(ctx: Context) -> None:
    """Ask and wait; a machine that is off stays so, one that somebody started behind our back is refused.

    What a snapshot froze is written by nobody, whatever the machine does; nor is what the hypervisor copies live.
    """
    vm = work.machine(ctx)
    if ctx.args.get("snapshot") or ctx.args.get("live"):
        return
    if ctx.args.get("start"):
        if not ctx.args.get("asked"):
            vm_shutdown.ask(ctx)
        vm_shutdown.wait(ctx)
    elif work.observe(ctx, vm).power not in vm_shutdown.GONE:
        raise Conflict(N_("%(name)s is running."), rule="power.off", fix=N_("Shut it down first."), name=vm.name)


def start_again(ctx: Context) -> None:
    work.start_if_asked(ctx, N_("%(name)s did not start again: %(cause)s"))


def is_off(ctx: Context) -> bool:
    return "vm.shut-down" in ctx.args.get("told", [])


def copy(ctx: Context) -> None:
    """The machine's disk with all that lies below it, as one image."""
    version, vm = _version(ctx), work.machine(ctx)
    if ctx.args.get("live"):
        disk = vm.disks.select_related("storage").get(pk=ctx.args["disk"])
        name = version.unsealed_volume if ctx.args["seal"] else version.volume
        live_copy.copy(ctx, vm, disk, to=version.storage, name=name, moment=_moment(version))
        return
    snapshot = vm.snapshots.filter(pk=ctx.args["snapshot"]).first() if ctx.args.get("snapshot") else None
    original = next(one for one in originals(vm, snapshot) if str(one.disk.pk) == ctx.args["disk"])
    source = replace(original.image, allocation=_allocated(ctx, vm, original))
    name = version.unsealed_volume if ctx.args["seal"] else version.volume
    work.with_storage(
        ctx, work.host_of(vm), version.storage,
        lambda host, storage: host.copy_volume(
            storage, name, source=source, progress=lambda share: ctx.progress(share, N_("Copying the disk"))
        ),
    )  # fmt: skip


def _allocated(ctx: Context, vm: VirtualMachine, disk: Original) -> int:
    """Bytes to be copied, as far as can be said: the disk's own and those of the image below it."""
    images = [(disk.storage, disk.volume)]
    if vm.linked and vm.template_version is not None:
        images.append((vm.template_version.storage, vm.template_version.volume))
    found = [
        work.with_storage(ctx, work.host_of(vm), storage, partial(_volume, name=volume)) for storage, volume in images
    ]
    return sum(volume.allocation for volume in found if volume is not None)


def _volume(host: HostConnection, storage: StorageSpec, name: str) -> VolumeInfo | None:
    return host.volume(storage, name)


def _moment(version: TemplateVersion) -> str:
    """The name of the checkpoint that a live copy needs while it is made."""
    return f"berth-{version.pk}"


def remove_copies(ctx: Context) -> None:
    version, vm = _version(ctx), work.machine(ctx)
    if ctx.args.get("live"):
        live_copy.stop(ctx, vm, moment=_moment(version))
    for volume in (version.unsealed_volume, version.volume):
        work.delete_volume(ctx, work.host_of(vm), version.storage, volume, wipe=version.storage.wipe_after_delete)


def seal(ctx: Context) -> None:
    """Fetch the copy, seal it here, store it under the version's name."""
    if not ctx.args["seal"]:
        return
    version, host = _version(ctx), work.host_of(work.machine(ctx))
    if not work.has_volume(ctx, host, version.storage, version.unsealed_volume):
        raise NotFound(
            N_("The copy of the disk is gone."), fix=N_("Make the version again; look who cleans up on the storage.")
        )
    folder = _bench(ctx)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    try:
        report = _seal(ctx, version, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    with ctx.write():
        TemplateVersion.objects.filter(pk=version.pk).update(sealing=report.as_dict())
        ctx.save(sealed=True)


def _seal(ctx: Context, version: TemplateVersion, folder: Path) -> Report:
    host, source, target = host_for(version.storage), folder / "copy.qcow2", folder / "sealed.qcow2"

    def told(begin: float, width: float, text: str):  # type: ignore[no-untyped-def]
        return lambda share: ctx.progress(begin + share * width, text)

    try:
        work.with_storage(
            ctx, host, version.storage,
            lambda line, storage: line.fetch_volume(
                storage, version.unsealed_volume, source, progress=told(0.0, 0.3, N_("Fetching the copy"))
            ),
        )  # fmt: skip
        report = seal_image(source, target, tick=told(0.3, 0.4, N_("Sealing the image")))
        # What an earlier try stored is of a sealing that did not get to its end.
        work.delete_volume(ctx, host, version.storage, version.volume, wipe=version.storage.wipe_after_delete)
        work.with_storage(
            ctx, host, version.storage,
            lambda line, storage: line.store_volume(
                storage, version.volume, target, progress=told(0.7, 0.3, N_("Storing the sealed image"))
            ),
        )  # fmt: skip
    except Unsupported as error:
        report = Report()
        report.leave(error.template, **error.params)
        _use_unsealed(ctx, version)
    except OSError as error:
        raise Unavailable(
            N_("The image could not be sealed on this server (%(reason)s)."),
            rule="version.seal", fix=N_("Free some space in the data directory."), reason=error.strerror or error,
        ) from error  # fmt: skip
    return report


def _use_unsealed(ctx: Context, version: TemplateVersion) -> None:
    """Where the host gives no bytes away, the copy is the version's image as it is, and the version says so."""
    source = VolumeInfo(
        name=version.unsealed_volume, path=specs.volume_path(version.storage, version.unsealed_volume), format="qcow2",
        capacity=version.size_bytes, allocation=0,
    )  # fmt: skip
    work.with_storage(
        ctx, host_for(version.storage), version.storage,
        lambda line, storage: line.copy_volume(storage, version.volume, source=source),
    )  # fmt: skip


def remove_sealed(ctx: Context) -> None:
    version = _version(ctx)
    shutil.rmtree(_bench(ctx), ignore_errors=True)
    wipe = version.storage.wipe_after_delete
    work.delete_volume(ctx, host_for(version.storage), version.storage, version.volume, wipe=wipe)


def _bench(ctx: Context) -> Path:
    """Where images are worked on; on the disk of whatever server does the job."""
    return Path(settings.DATA_DIR) / "sealing" / str(ctx.job.pk)


def tidy(ctx: Context) -> None:
    version = _version(ctx)
    wipe = version.storage.wipe_after_delete
    work.delete_volume(ctx, host_for(version.storage), version.storage, version.unsealed_volume, wipe=wipe)


def make_ready(ctx: Context) -> None:
    version = _version(ctx)
    with ctx.write():
        VERSION.move(version, "built")
        unsealed = version.sealing.get("outcome") not in (None, "sealed")
        record(
            "template.made", actor=JobActor(ctx.job), subject=version.template,
            severity="warning" if unsealed else "info",
            message=N_("Version %(number)s of %(name)s was made from %(machine)s, but not all of it is sealed")
            if unsealed else N_("Version %(number)s of %(name)s was made from %(machine)s"),
            number=version.number, name=version.template.name, machine=version.made_from,
        )  # fmt: skip
        publish("template", version.template_id, "changed")


def is_ready(ctx: Context) -> bool:
    return _version(ctx).state == VersionState.READY


register(
    Plan(
        "template.make",
        N_("Make a template version from"),
        "vm",
        (
            Step(
                "inside", seal_inside, N_("Seal it from inside"), probe=work.told("vm.sealed-inside"), undo=remove_row
            ),
            Step("off", shut_down, N_("Shut it down"), probe=is_off, undo=start_again),
            Step("copy", copy, N_("Copy the disk"), undo=remove_copies),
            Step(
                "seal", seal, N_("Seal the image"), probe=lambda ctx: bool(ctx.args.get("sealed")), undo=remove_sealed,
            ),
            Step("tidy", tidy, N_("Remove the first copy"), no_undo="Undoing “copy” removes it just the same."),
            Step(
                "ready", make_ready, N_("Finish"), probe=is_ready, last_exit=True,
                no_undo="A transaction: the version is ready, or nothing happened.",
            ),
            Step(
                "start", start_again, N_("Start it again"), probe=work.told("vm.started"),
                no_undo="Does not fail for want of the hypervisor, and a running machine is no harm.",
            ),
        ),
    )
)  # fmt: skip
