"""Delete an image of the library, or cancel its upload."""

from django.db import transaction

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Busy
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE
from broker.virt.image_use import refuse_if_in_a_run
from broker.virt.models import Image
from broker.virt.states import IMAGE
from broker.virt.usage import refuse_if_used


@transaction.atomic
def delete_image(*, actor: Actor, image: Image) -> Job:
    """Enqueue it. Machines made from it have copies of their own and stay. Raises Missing, Denied, Conflict or Busy."""
    require(actor, "image.manage", image)
    image = Image.objects.select_for_update().get(pk=image.pk)
    refuse_if_used(image)
    refuse_if_in_a_run(image)
    copied = Job.objects.filter(plan="vm.create", state__in=ACTIVE, args__image=str(image.pk)).first()
    if copied is not None:
        raise Busy(
            N_("%(machine)s is just being made from %(name)s."), fix=N_("Wait until that is done, or cancel it."),
            name=image.name, machine=copied.subject_name,
        )  # fmt: skip
    IMAGE.move(image, "delete")
    record(
        "image.delete.asked", actor=actor, subject=image, name=image.name,
        message=N_("Deletion of the image %(name)s was asked for"),
    )  # fmt: skip
    publish("image", image.pk, "changed")
    return enqueue("image.delete", actor=actor, subject=image)
