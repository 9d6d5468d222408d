"""Take a server off the list of those that images are fetched from. What was fetched stays."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import rows
from broker.virt.models import ImageSource


@transaction.atomic
def delete_image_source(*, actor: Actor, source: ImageSource) -> None:
    """Raises Denied."""
    require(actor, "system.manage")
    pk = source.pk
    record(
        "image-source.deleted", actor=actor, subject=source, source=str(source),
        message=N_("Images may no longer be fetched from %(source)s"),
    )  # fmt: skip
    rows.remove(source)
    publish("image-source", pk, "deleted")
