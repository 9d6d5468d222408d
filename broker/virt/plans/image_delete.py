"""image.delete: what was uploaded, what is on the storage, then the row."""

from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import uploads, work
from broker.virt.models import Image

from .template_import import host_for


def gone(ctx: Context) -> bool:
    return not Image.objects.filter(pk=ctx.job.subject_id).exists()


def remove(ctx: Context) -> None:
    image = Image.objects.select_related("storage").get(pk=ctx.job.subject_id)
    wipe = image.storage.wipe_after_delete
    work.delete_volume(ctx, host_for(image.storage), image.storage, image.volume, wipe=wipe)
    uploads.remove(image.pk)
    with ctx.write():
        record(
            "image.deleted", actor=JobActor(ctx.job), subject=image, name=image.name,
            message=N_("The image %(name)s was deleted"),
        )  # fmt: skip
        Image.objects.filter(pk=image.pk).delete()
        publish("image", image.pk, "deleted")


register(
    Plan(
        "image.delete",
        N_("Delete"),
        "image",
        (
            Step(
                "delete", remove, N_("Remove the image"), probe=gone,
                no_undo="It stays marked as being deleted, and deleting it again is all there is to do.",
            ),
        ),
        cancellable=False,
    )
)  # fmt: skip
