"""The bytes of an image are all here: look at it, and put it on its storage."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt.models import Image
from broker.virt.states import IMAGE
from broker.virt.storage_rules import require_usable


@transaction.atomic
def finish_image(*, actor: Actor, image: Image) -> Job:
    """Enqueue its import. A wrong checksum or an image that may not be used ends the job, and the image is gone.

    Raises Missing, Denied, Conflict or Busy.
    """
    require(actor, "image.manage", image)
    image = Image.objects.select_for_update().select_related("storage").get(pk=image.pk)
    if image.received_bytes != image.size_bytes:
        raise Conflict(
            N_("Of %(size)s bytes %(here)s are here."), rule="upload.whole", fix=N_("Send the rest first."),
            size=image.size_bytes, here=image.received_bytes,
        )  # fmt: skip
    require_usable(image.storage)
    IMAGE.move(image, "finish")
    record(
        "image.import.asked", actor=actor, subject=image, name=image.name,
        message=N_("%(name)s was uploaded and is to be put into the library"),
    )  # fmt: skip
    publish("image", image.pk, "changed")
    return enqueue("image.import", actor=actor, subject=image)
