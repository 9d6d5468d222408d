"""The duty of the image library: uploads nobody goes on with are removed, and what was begun comes to an end."""

from datetime import timedelta

from django.db.models import Q

from broker.access.actor import Actor
from broker.core import clock
from broker.core.errors import Busy
from broker.jobs.enqueue import enqueue
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

from . import uploads
from .actions.delete_image import delete_image
from .models import Image
from .states import ImageState

DUTY = Actor.system("virt.images")
LEFT_FOR = timedelta(days=1)
GRACE = timedelta(minutes=2)
BATCH = 20


def tidy() -> None:
    """Uploads left for a day, imports and deletions without a job, files without a row."""
    for image in Image.objects.filter(state=ImageState.UPLOADING, touched_at__lt=clock.now() - LEFT_FOR)[:BATCH]:
        delete_image(actor=DUTY, image=image)
    late = clock.now() - GRACE
    busy = Job.objects.filter(Q(state__in=ACTIVE) | Q(finished_at__gt=late), subject_kind="image").values("subject_id")
    plans = {ImageState.IMPORTING: "image.import", ImageState.DELETING: "image.delete"}
    for image in Image.objects.filter(state__in=plans).exclude(pk__in=busy)[:BATCH]:
        try:
            enqueue(plans[ImageState(image.state)], actor=DUTY, subject=image)
        except Busy:
            continue
    _sweep()


def _sweep() -> None:
    files = list(uploads.folder().iterdir())  # before the rows: a file never comes before its row
    known = {str(pk) for pk in Image.objects.values_list("pk", flat=True)}
    for path in files:
        if path.name.split(".")[0] not in known:
            path.unlink(missing_ok=True)
