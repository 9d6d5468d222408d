"""image.import: look at what was uploaded, make a qcow2 of a disk, and put it on its storage.

The volume is named after the image's id, so that a job that is resumed goes on with the same file.
"""

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import image_formats, uploads, work
from broker.virt.models import Image
from broker.virt.states import IMAGE, ImageState

from .template_import import host_for


def image_of(ctx: Context) -> Image:
    return Image.objects.select_related("storage").get(pk=ctx.job.subject_id)


def store(ctx: Context) -> None:
    """Looked at in the same breath: nothing else touches the file, and a second attempt looks again."""
    image = image_of(ctx)
    path = uploads.path_of(image.pk)
    if image.sha256:
        told = uploads.digest(path, lambda share: ctx.progress(share * 0.2, N_("Checking the checksum")))
        if told != image.sha256:
            raise Invalid(
                N_("The checksum of the uploaded file is another: %(told)s."), field="sha256",
                fix=N_("Upload the file again."), told=told,
            )  # fmt: skip
    looked = image_formats.look(path, image.kind, said=image.format)
    if looked.format not in ("iso", "qcow2"):
        target = uploads.converted_path(image.pk)
        image_formats.convert(
            path, target, looked, lambda share: ctx.progress(0.2 + share * 0.4, N_("Converting the image"))
        )
        path = target
    with ctx.write():
        Image.objects.filter(pk=image.pk).update(format=looked.format, capacity_bytes=looked.capacity)
    work.with_storage(
        ctx, host_for(image.storage), image.storage,
        lambda host, storage: host.store_volume(
            storage, image.volume, path,
            progress=lambda share: ctx.progress(0.6 + share * 0.4, N_("Putting the image on its storage")),
        ),
    )  # fmt: skip


def remove(ctx: Context) -> None:
    image = Image.objects.select_related("storage").filter(pk=ctx.job.subject_id).first()
    if image is None:
        return  # an attempt before this one got as far
    work.delete_volume(ctx, host_for(image.storage), image.storage, image.volume)
    uploads.remove(image.pk)
    with ctx.write():
        Image.objects.filter(pk=image.pk, state=ImageState.IMPORTING).delete()
        publish("image", image.pk, "deleted")


def make_ready(ctx: Context) -> None:
    image = image_of(ctx)
    with ctx.write():
        if IMAGE.attempt(Image.objects.filter(pk=image.pk), "imported"):
            record(
                "image.imported", actor=JobActor(ctx.job), subject=image, name=image.name,
                message=N_("The image %(name)s is ready"),
            )  # fmt: skip
            publish("image", image.pk, "changed")
    uploads.remove(image.pk)


def is_ready(ctx: Context) -> bool:
    return image_of(ctx).state == ImageState.READY and not uploads.path_of(ctx.job.subject_id).exists()


register(
    Plan(
        "image.import",
        N_("Import"),
        "image",
        (
            Step("store", store, N_("Look at the image and store it"), undo=remove),
            Step(
                "ready", make_ready, N_("Finish"), probe=is_ready, last_exit=True,
                no_undo="A transaction: the image is ready, or nothing happened.",
            ),
        ),
    )
)  # fmt: skip
