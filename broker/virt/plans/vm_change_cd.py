"""vm.change-cd: into the drive of the machine that runs, and into its definition. args: `was`, the CD before."""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.virt import specs, work
from broker.virt.models import Image, VirtualMachine


def change(ctx: Context) -> None:
    message = N_("%(name)s has %(cd)s in its CD drive")
    if not _put(ctx):
        message = N_("%(name)s has %(cd)s in its CD drive from its next start on")
    vm = work.machine(ctx)
    work.tell(ctx, vm, "vm.cd-changed", message, cd=vm.cd.name if vm.cd else "-")


def _put(ctx: Context) -> bool:
    """Whether the present run has it."""
    vm = work.machine(ctx)
    if vm.host is None:
        return False
    if vm.cd is not None:
        work.with_storage(ctx, vm.host, vm.cd.storage, lambda host, storage: None)
    path = specs.cd_spec(vm.cd).path if vm.cd else ""
    there = work.line(ctx, vm).change_cd(str(vm.pk), specs.CD_DRIVE, path)
    if there and vm.run_cd_id is not None:
        with ctx.write():
            VirtualMachine.objects.filter(pk=vm.pk).update(run_cd=None)
    work.define(ctx, vm)
    return there


def back(ctx: Context) -> None:
    was = ctx.args.get("was")
    before = Image.objects.filter(pk=was).first() if was else None
    with ctx.write():
        VirtualMachine.objects.filter(pk=ctx.job.subject_id).update(cd=before)
        publish("vm", ctx.job.subject_id, "changed")
    _put(ctx)


register(
    Plan(
        "vm.change-cd",
        N_("Change the CD of"),
        "vm",
        (Step("change", change, N_("Change the CD"), probe=work.told("vm.cd-changed"), undo=back),),
    )
)  # fmt: skip
