"""template.delete-version: the image, then the row. Nothing is made from it any more when this begins."""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import work
from broker.virt.models import TemplateVersion, VirtualMachine, VmTemplate
from broker.virt.states import VERSION

from .template_import import host_for, version_of


def gone(ctx: Context) -> bool:
    return not TemplateVersion.objects.filter(pk=ctx.job.subject_id).exists()


def remove_image(ctx: Context) -> None:
    version = version_of(ctx)
    for volume in (version.volume, version.unsealed_volume):
        wipe = version.storage.wipe_after_delete
        work.delete_volume(ctx, host_for(version.storage), version.storage, volume, wipe=wipe)


def keep_if_whole(ctx: Context) -> None:
    """Ready again if the image is still there; else it stays marked, and deleting it again is all there is to do."""
    version = version_of(ctx)
    there = work.has_volume(ctx, host_for(version.storage), version.storage, version.volume)
    if there and ctx.args.get("was") == "ready":
        with ctx.write():
            VERSION.attempt(TemplateVersion.objects.filter(pk=version.pk), "keep")


def remove_row(ctx: Context) -> None:
    version = version_of(ctx)
    with ctx.write():
        VirtualMachine.objects.filter(template_version=version, linked=False).update(template_version=None)
        record(
            "template.version-deleted", actor=JobActor(ctx.job), subject=version.template,
            message=N_("Version %(number)s of %(name)s was deleted"), number=version.number, name=version.template.name,
        )  # fmt: skip
        TemplateVersion.objects.filter(pk=version.pk).delete()
        if ctx.args.get("whole"):
            VmTemplate.objects.filter(pk=version.template_id, versions__isnull=True).delete()
        publish("template", version.template_id, "changed")


register(
    Plan(
        "template.delete-version",
        N_("Delete"),
        "template-version",
        (
            Step("image", remove_image, N_("Remove the image"), undo=keep_if_whole, last_exit=True),
            Step(
                "row", remove_row, N_("Finish"), probe=gone,
                no_undo="A transaction: the row is gone, or nothing happened.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
