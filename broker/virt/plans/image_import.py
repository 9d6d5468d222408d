"""image.import: fetch what was not uploaded, look at it, make a qcow2 of a disk, and put it on its storage.

The volume is named after the image's id, so that a job that is resumed goes on with the same file.
"""

import os
from uuid import uuid5

from broker.core.errors import Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.context import Context
from broker.jobs.plans import Plan, Step, register
from broker.jobs.runner import JobActor
from broker.virt import fetching, image_formats, new_image, ova, quotas, uploads, wiping, work
from broker.virt.models import FloatingDisk, Image
from broker.virt.states import IMAGE, ImageState

from .template_import import host_for


def image_of(ctx: Context) -> Image:
    return Image.objects.select_related("storage").get(pk=ctx.job.subject_id)


def store(ctx: Context) -> None:
    """Looked at in the same breath: nothing else touches the file, and a second attempt looks again."""
    image = image_of(ctx)
    path, begun = uploads.path_of(image.pk), 0.0
    if image.url:
        _fetch(ctx, image)
        begun = 0.5

    def told_of(share: float, words: str) -> None:
        ctx.progress(begun + share * (1 - begun), words)

    if not image.url:
        _require_whole(image)
    if image.sha256:
        told = image.arrived_sha256 or uploads.digest(
            path, lambda share: told_of(share * 0.2, N_("Checking the checksum"))
        )
        if told != image.sha256:
            raise Invalid(
                N_("The checksum of the file is another: %(told)s."), field="sha256",
                fix=N_("Look whether both are right, and bring the file along again."), told=told,
            )  # fmt: skip
    appliance = image.kind == "disk" and image.format in ("", "ova") and ova.is_one(path)
    proposal, said = {}, image.format
    if appliance:
        inner, said = uploads.inner_path(image.pk), ""
        proposal = ova.take_disk(path, inner, lambda share: told_of(0.2 + share * 0.2, N_("Taking out the disk")))
        path = inner
    looked = image_formats.look(path, image.kind, said=said)
    if looked.format not in ("iso", "qcow2"):
        target = uploads.converted_path(image.pk)
        image_formats.convert(
            path, target, looked, lambda share: told_of(0.2 + share * 0.4, N_("Converting the image"))
        )
        path = target
    with ctx.write():
        Image.objects.filter(pk=image.pk).update(
            format="ova" if appliance else looked.format, capacity_bytes=looked.capacity, proposal=proposal
        )
    work.with_storage(
        ctx, host_for(image.storage), image.storage,
        lambda host, storage: host.store_volume(
            storage, image.volume, path,
            progress=lambda share: told_of(0.6 + share * 0.4, N_("Putting the image on its storage")),
        ),
    )  # fmt: skip

    for number in range(1, proposal.get("disks", 1)):
        _store_another(ctx, image, number)


def _store_another(ctx: Context, image: Image, number: int) -> None:
    """A further disk of an appliance becomes one of no machine, under an id that a second attempt finds again."""
    disk = other_disk(image, number)
    inner, target = uploads.inner_path(image.pk), uploads.converted_path(image.pk)
    words = N_("Taking out another disk")
    ova.take_disk(uploads.path_of(image.pk), inner, lambda share: ctx.progress(share * 0.3, words), number=number)
    looked = image_formats.look(inner, "disk", said="")
    if looked.format == "qcow2":
        target = inner
    else:
        image_formats.convert(inner, target, looked, lambda share: ctx.progress(0.3 + share * 0.4, words))
    made = work.with_storage(
        ctx,
        host_for(image.storage),
        image.storage,
        lambda host, storage: host.store_volume(storage, disk.volume, target),
    )
    with ctx.write():
        quotas.claim_disk_of(
            JobActor(ctx.job), image.maker_id, image.storage.cluster_id, size=looked.capacity, subject=image, new=True
        )
        FloatingDisk.objects.update_or_create(
            pk=disk.pk,
            defaults={
                "name": disk.name, "storage": image.storage, "volume": disk.volume, "size_bytes": looked.capacity,
                "allocated_bytes": made.allocation, "owner_id": image.maker_id,
            },
        )  # fmt: skip
        publish("disk", disk.pk, "created")


def other_disk(image: Image, number: int) -> FloatingDisk:
    """What a further disk of an appliance is called and where it lies; `number`: its place, the first is 0."""
    key = uuid5(image.pk, str(number))
    return FloatingDisk(pk=key, name=f"{image.name[:110]} disk {number + 1}", volume=f"{key}.0.qcow2")


def _remove_others(ctx: Context, image: Image) -> None:
    for number in range(1, ova.MOST_DISKS if image.proposal.get("disks") else 1):
        disk = other_disk(image, number)
        wipe = wiping.of_disk(disk.pk, image.storage)
        work.delete_volume(ctx, host_for(image.storage), image.storage, disk.volume, wipe=wipe)
        with ctx.write():
            FloatingDisk.objects.filter(pk=disk.pk).delete()


def stored(ctx: Context) -> bool:
    """The last thing that is stored is there."""
    image = image_of(ctx)
    others = [other_disk(image, number).pk for number in range(1, image.proposal.get("disks", 1))]
    if FloatingDisk.objects.filter(pk__in=others).count() < len(others):
        return False
    return work.has_volume(ctx, host_for(image.storage), image.storage, image.volume)


def _require_whole(image: Image) -> None:
    """What was told to be here may have been lost when the server's power was cut."""
    with uploads.opened(uploads.path_of(image.pk), os.O_RDONLY) as file:
        if os.fstat(file).st_size != image.size_bytes:
            raise Invalid(N_("This image is cut off."), field="source", fix=N_("Upload it anew."))


def _fetch(ctx: Context, image: Image) -> None:
    """What another attempt fetched is gone on with, if the server still has the same file."""
    known = fetching.Known(int(ctx.args.get("size", 0)), str(ctx.args.get("validator", "")))

    def learn(known: fetching.Known) -> None:
        new_image.require_room(image, known.size)
        ctx.save(size=known.size, validator=known.validator)
        with ctx.write():
            Image.objects.filter(pk=image.pk).update(size_bytes=known.size)
            publish("image", image.pk, "changed")

    def tick(here: int) -> None:
        ctx.progress(here / max(known.size, 1) * 0.5, N_("Fetching the image"))

    size = fetching.fetch(uploads.path_of(image.pk), image.url, known, learn=learn, tick=tick)
    with ctx.write():
        Image.objects.filter(pk=image.pk).update(size_bytes=size, received_bytes=size)


def remove(ctx: Context) -> None:
    image = Image.objects.select_related("storage").filter(pk=ctx.job.subject_id).first()
    if image is None:
        return  # an attempt before this one got as far
    wipe = image.storage.wipe_after_delete
    work.delete_volume(ctx, host_for(image.storage), image.storage, image.volume, wipe=wipe)
    _remove_others(ctx, image)
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
            Step("store", store, N_("Look at the image and store it"), probe=stored, undo=remove),
            Step(
                "ready", make_ready, N_("Finish"), probe=is_ready, last_exit=True,
                no_undo="A transaction: the image is ready, or nothing happened.",
            ),
        ),
    )
)  # fmt: skip
