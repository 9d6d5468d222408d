"""Allow a server that images are fetched from."""

from django.db import IntegrityError, transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import image_sources
from broker.virt.models import ImageSource


@transaction.atomic
def create_image_source(
    *, actor: Actor, host: str, port: int = 443, private: bool = False, ca: str = "", most_gib: int = 50
) -> ImageSource:
    """The arguments are the model's columns. Raises Denied, Invalid or Conflict."""
    require(actor, "system.manage")
    wanted = {"host": host, "port": port, "private": private, "ca": ca, "most_gib": most_gib}
    row = ImageSource(**image_sources.checked(wanted))
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise Conflict(
            N_("%(source)s is on the list already."), rule="name.unique", fix=N_("Change it there."), source=str(row)
        ) from None
    record(
        "image-source.created", actor=actor, subject=row, source=str(row),
        message=N_("Images may be fetched from %(source)s"),
    )  # fmt: skip
    publish("image-source", row.pk, "created")
    return row
