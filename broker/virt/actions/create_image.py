"""Begin an upload: an image in the library whose bytes are still to come."""

from django.db import transaction

from broker.access.actor import Actor
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, new_image, rows
from broker.virt.models import Image, StorageDomain


@transaction.atomic
def create_image(
    *,
    actor: Actor,
    name: str,
    kind: str,
    storage: StorageDomain,
    size_bytes: int,
    format: str = "",
    sha256: str = "",
    description: str = "",
) -> Image:
    """Write the image's row; its bytes come by `append_image`, and `finish_image` makes it usable.

    `kind`: "iso" or "disk"; `format`: what the file must be, "" takes what it is; `sha256`: what it must have.
    Raises Missing, Denied, Invalid, Conflict or NoCapacity.
    """
    image = new_image.drafted(
        actor, name=name, kind=kind, storage=storage, format=format, sha256=sha256, description=description
    )
    image.size_bytes = names.number(size_bytes, field="size_bytes", least=512, most=new_image.LARGEST)
    new_image.require_room(image, image.size_bytes)
    rows.insert(image)
    record(
        "image.upload.begun", actor=actor, subject=image, name=image.name, storage=storage.name,
        message=N_("Upload of %(name)s to %(storage)s was begun"),
    )  # fmt: skip
    publish("image", image.pk, "created")
    return image
