"""Fetch an image from a server on the allow-list."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.virt import image_sources, new_image, rows
from broker.virt.models import StorageDomain
from broker.virt.states import IMAGE


@transaction.atomic
def fetch_image(
    *,
    actor: Actor,
    name: str,
    kind: str,
    storage: StorageDomain,
    url: str,
    format: str = "",
    sha256: str = "",
    description: str = "",
) -> Job:
    """Write the image's row and enqueue the rest; returns the job, whose `subject_id` is the image's id.

    The other arguments are those of `create_image`. Cancelled or failed, the job leaves neither image nor bytes.
    Raises Missing, Denied, Invalid or Conflict.
    """
    require(actor, "image.manage", storage)
    place = image_sources.place_of(url)
    image = new_image.drafted(
        actor, name=name, kind=kind, storage=storage, format=format, sha256=sha256, description=description
    )
    image.url = url
    rows.insert(image)
    IMAGE.move(image, "finish")
    record(
        "image.fetch.asked", actor=actor, subject=image, name=image.name, source=str(place.source),
        message=N_("%(name)s is to be fetched from %(source)s"),
    )  # fmt: skip
    publish("image", image.pk, "created")
    return enqueue("image.import", actor=actor, subject=image)
