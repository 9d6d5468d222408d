"""Begin an upload: an image in the library whose bytes are still to come."""

import re

from django.db import transaction
from django.db.models import F, Sum

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid, NoCapacity
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.events.record import record
from broker.virt import names, rows, uploads
from broker.virt.models import Image, StorageDomain
from broker.virt.states import ImageState
from broker.virt.storage_rules import require_usable

LARGEST = 16 << 40
MOST_OPEN = 8
_SHA256 = re.compile(r"[0-9a-f]{64}")


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
    require(actor, "image.manage", storage)
    if kind not in Image.Kind.values:
        raise Invalid(N_("There is no such kind of image."), field="kind", fix=N_("Use iso or disk."))
    if format and (format not in Image.Format.values or (format == "iso") != (kind == "iso")):
        raise Invalid(
            N_("An image of this kind has no such format."), field="format",
            fix=N_("Use qcow2, raw, vmdk or vdi for a disk, or say nothing."),
        )  # fmt: skip
    sha256 = sha256.lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise Invalid(
            N_("This is no SHA-256 checksum."), field="sha256", fix=N_("Give 64 hexadecimal digits, or nothing.")
        )
    image = Image(
        name=names.name(name), kind=kind, storage=storage, format=format, sha256=sha256, maker=actor.user,
        size_bytes=names.number(size_bytes, field="size_bytes", least=512, most=LARGEST),
        description=names.description(description),
    )  # fmt: skip
    image.volume = f"image-{image.id}.{'iso' if kind == 'iso' else 'qcow2'}"
    require_usable(storage)
    if storage.observed_at and size_bytes > storage.available_bytes:
        raise NoCapacity(
            N_("%(name)s has no room for this image."), rule="storage.space",
            fix=N_("Free space there, or choose another storage."), name=storage.name,
        )  # fmt: skip
    coming = Image.objects.filter(state__in=(ImageState.UPLOADING, ImageState.IMPORTING))
    if actor.user and coming.filter(maker=actor.user).count() >= MOST_OPEN:
        raise Conflict(
            N_("You have %(most)s uploads under way already."), rule="upload.most",
            fix=N_("Finish or cancel one of them."), most=MOST_OPEN,
        )  # fmt: skip
    outstanding = coming.aggregate(bytes=Sum(F("size_bytes") - F("received_bytes")))["bytes"] or 0
    uploads.require_room(outstanding + size_bytes)
    rows.insert(image)
    record(
        "image.upload.begun", actor=actor, subject=image, name=image.name, storage=storage.name,
        message=N_("Upload of %(name)s to %(storage)s was begun"),
    )  # fmt: skip
    publish("image", image.pk, "created")
    return image
