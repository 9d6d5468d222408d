"""storage.evacuate: the disks of all machines are moved to another storage, each machine by a vm.move-disks job of its
own; then the storage is in maintenance, unless images of templates or of the library lie on it: machines made from a
template may need its image, wherever their own disks are. args: `target`, `emptied`.

Machines go on running. What cannot be moved is tried again and then named; what was moved stays where it is.
"""

from broker.core.errors import Conflict, Reason
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.models import Job
from broker.jobs.plans import NotYet, Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt.actions.maintain_storage import maintain_storage
from broker.virt.actions.move_disks import move_disks
from broker.virt.emptying import EVACUATION, call_back, see_to
from broker.virt.models import Image, StorageDomain, TemplateVersion, VirtualMachine
from broker.virt.states import STORAGE

LOOK_EVERY = 1.0


def empty(ctx: Context) -> None:
    """See to each machine that has a disk there."""
    storage = StorageDomain.objects.get(pk=ctx.job.subject_id)
    target = StorageDomain.objects.get(pk=ctx.args["target"])
    left = list(VirtualMachine.objects.filter(disks__storage=storage).distinct().order_by("name"))
    if not left:
        try:
            with ctx.write():
                _rest(ctx, storage)
                ctx.save(emptied=True)
        except Conflict:
            raise NotYet(LOOK_EVERY) from None  # a machine was made there just now: it is moved as well
        return

    def ask(vm: VirtualMachine) -> Job:
        return move_disks(actor=EVACUATION, vm=vm, storage=target, disks=list(vm.disks.filter(storage=storage)))

    stuck = see_to(ctx, left, ask)
    if len(stuck) == len(left):
        raise _stayed(storage, stuck)
    total = ctx.args["total"]
    words = {"left": len(left), "total": total, "storage": storage.name}
    ctx.progress(1 - len(left) / total, N_("%(left)s of %(total)s machines still have disks on %(storage)s"), **words)
    raise NotYet(LOOK_EVERY)


def emptied(ctx: Context) -> bool:
    return bool(ctx.args.get("emptied"))


def _rest(ctx: Context, storage: StorageDomain) -> None:
    """Say what is left, or put it into maintenance."""
    images = TemplateVersion.objects.filter(storage=storage).count() + Image.objects.filter(storage=storage).count()
    if images:
        record(
            "storage.emptied", actor=JobActor(ctx.job), subject=storage, name=storage.name, images=images,
            message=N_("No machine has a disk on %(name)s any more; it stays in use for the %(images)s images on it"),
        )  # fmt: skip
        publish("storage", storage.pk, "changed")
    elif STORAGE.is_(storage.state, "usable"):
        maintain_storage(actor=EVACUATION, storage=storage)


def _stayed(storage: StorageDomain, stuck: list[Reason]) -> Conflict:
    return Conflict(
        N_("The disks of %(count)s machines cannot be moved away from %(storage)s: %(why)s"),
        rule="storage.evacuate",
        fix=N_("See to each of them, and try again. What was moved stays where it is."),
        reasons=stuck,
        count=len(stuck),
        storage=storage.name,
        why="; ".join(f"{one.subject}: {one.message}" for one in stuck[:3]),
    )


register(
    Plan(
        "storage.evacuate",
        N_("Empty"),
        "storage",
        (Step("empty", empty, N_("Move its disks away"), probe=emptied, undo=call_back),),
    )
)
