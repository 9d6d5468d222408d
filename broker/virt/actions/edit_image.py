"""Change what an image of the library is called, and what is noted of it."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows
from broker.virt.models import Image


@transaction.atomic
def edit_image(*, actor: Actor, image: Image, name: str | None = None, description: str | None = None) -> Image:
    """Write what is given (None: leave). Raises Missing, Denied, Invalid or Conflict."""
    require(actor, "image.manage", image)
    before = image.name
    wanted = {
        "name": None if name is None else names.name(name),
        "description": None if description is None else names.description(description),
    }
    if rows.change(image, wanted):
        record(
            "image.edited", actor=actor, subject=image, name=image.name, before=before,
            message=N_("The image %(before)s was changed; it is called %(name)s"),
        )  # fmt: skip
        publish("image", image.pk, "changed")
    return image
