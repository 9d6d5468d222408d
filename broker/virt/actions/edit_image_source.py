"""Change how a server is fetched from."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import image_sources, rows
from broker.virt.models import ImageSource


@transaction.atomic
def edit_image_source(
    *,
    actor: Actor,
    source: ImageSource,
    private: bool | None = None,
    ca: str | None = None,
    most_gib: int | None = None,
) -> ImageSource:
    """Write what is given (None: leave). What is being fetched goes on as it was begun. Raises Denied or Invalid."""
    require(actor, "system.manage")
    given = {"private": private, "ca": ca, "most_gib": most_gib}
    if rows.change(source, image_sources.checked({name: value for name, value in given.items() if value is not None})):
        record(
            "image-source.changed", actor=actor, subject=source, source=str(source),
            message=N_("How images are fetched from %(source)s was changed"),
        )  # fmt: skip
        publish("image-source", source.pk, "changed")
    return source
