"""storage.detach: note down on the storage what goes with it, forget that on the hosts, leave it, drop the rows."""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import hosts, specs, storage_duty, storage_notes, work
from broker.virt.models import Host, StorageDomain, VirtualMachine, VmTemplate

from .template_import import host_for


def storage_of(ctx: Context) -> StorageDomain:
    return StorageDomain.objects.select_related("cluster", "host").get(pk=ctx.job.subject_id)


def note_down(ctx: Context) -> None:
    _note(ctx, storage_notes.DETACHED)


def take_back(ctx: Context) -> None:
    _note(ctx, storage_notes.ATTACHED)


def _note(ctx: Context, state: str) -> None:
    storage = storage_of(ctx)
    document = storage_notes.describe(storage, state)
    work.with_storage(ctx, host_for(storage), storage, lambda line, spec: storage_duty.write(storage, line, document))


def forget_machines(ctx: Context) -> None:
    storage = storage_of(ctx)
    for vm in VirtualMachine.objects.filter(disks__storage=storage, host__isnull=False).distinct():
        work.line(ctx, vm).undefine(str(vm.pk))


def leave(ctx: Context) -> None:
    """On the hosts that answer; one that does not is told by nobody, and finds nothing of ours to start."""
    storage = storage_of(ctx)
    answering = Host.objects.filter(cluster=storage.cluster_id, error="")
    for host in answering.filter(pk=storage.host_id) if storage.host_id else answering:
        hosts.guarded(ctx, host).release_storage(specs.storage_spec(storage))


def gone(ctx: Context) -> bool:
    return not StorageDomain.objects.filter(pk=ctx.job.subject_id).exists()


def drop_rows(ctx: Context) -> None:
    storage = storage_of(ctx)
    with ctx.write():
        machines = list(VirtualMachine.objects.filter(disks__storage=storage).distinct().values_list("pk", flat=True))
        templates = list(storage.template_versions.values_list("template", flat=True))
        VirtualMachine.objects.filter(template_version__storage=storage, linked=False).update(template_version=None)
        VirtualMachine.objects.filter(pk__in=machines).delete()
        storage.template_versions.all().delete()
        VmTemplate.objects.filter(pk__in=templates, versions__isnull=True, pools__isnull=True).delete()
        record(
            "storage.detached", actor=JobActor(ctx.job), subject=storage,
            message=N_("%(name)s was let go with %(count)s machines"), name=storage.name, count=len(machines),
        )  # fmt: skip
        storage.delete()
        publish("storage", ctx.job.subject_id, "deleted")
        for pk in machines:
            publish("vm", pk, "deleted")


register(
    Plan(
        "storage.detach",
        N_("Detach"),
        "storage",
        (
            Step("notes", note_down, N_("Note down what lies on it"), undo=take_back),
            Step(
                "machines", forget_machines, N_("Forget its machines on the hosts"),
                no_undo="A machine is defined anew at its next start.",
            ),
            Step("leave", leave, N_("Leave the storage"), no_undo="A host takes it up again when it is next needed."),
            Step(
                "rows", drop_rows, N_("Finish"), probe=gone, last_exit=True,
                no_undo="A transaction: the rows are gone, or nothing happened.",
            ),
        ),
    )
)  # fmt: skip
