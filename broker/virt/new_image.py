"""What is checked of an image before its bytes come, whichever way they do."""

import re

from django.db.models import F, Sum

from broker.access.actor import Actor
from broker.access.require import require
from broker.core.errors import Conflict, Invalid, NoCapacity
from broker.core.text import gettext_noop as N_

from . import names, uploads
from .models import Image, StorageDomain
from .states import ImageState
from .storage_rules import require_usable

LARGEST = 16 << 40
MOST_OPEN = 8
COMING = (ImageState.UPLOADING, ImageState.IMPORTING)
_SHA256 = re.compile(r"[0-9a-f]{64}")


def drafted(
    actor: Actor, *, name: str, kind: str, storage: StorageDomain, format: str, sha256: str, description: str
) -> Image:
    """The row, not written yet and without a size. Raises Missing, Denied, Invalid and Conflict."""
    require(actor, "image.manage", storage)
    if kind not in Image.Kind.values:
        raise Invalid(N_("There is no such kind of image."), field="kind", fix=N_("Use iso or disk."))
    if format and (format not in Image.Format.values or (format == "iso") != (kind == "iso")):
        raise Invalid(
            N_("An image of this kind has no such format."), field="format",
            fix=N_("Use qcow2, raw, vmdk, vdi or ova for a disk, or say nothing."),
        )  # fmt: skip
    sha256 = sha256.lower()
    if sha256 and not _SHA256.fullmatch(sha256):
        raise Invalid(
            N_("This is no SHA-256 checksum."), field="sha256", fix=N_("Give 64 hexadecimal digits, or nothing.")
        )
    image = Image(
        name=names.name(name), kind=kind, storage=storage, format=format, sha256=sha256, maker=actor.user,
        description=names.description(description), size_bytes=0,
    )  # fmt: skip
    image.volume = f"image-{image.id}.{'iso' if kind == 'iso' else 'qcow2'}"
    require_usable(storage)
    if actor.user and Image.objects.filter(state__in=COMING, maker=actor.user).count() >= MOST_OPEN:
        raise Conflict(
            N_("You have %(most)s uploads under way already."), rule="upload.most",
            fix=N_("Finish or cancel one of them."), most=MOST_OPEN,
        )  # fmt: skip
    return image


def require_room(image: Image, size_bytes: int) -> None:
    """Raise NoCapacity unless so many bytes fit where they arrive and on the image's storage."""
    storage = image.storage
    if storage.capacity_bytes and size_bytes > storage.available_bytes:  # 0: not looked at yet
        raise NoCapacity(
            N_("%(name)s has no room for this image."), rule="storage.space",
            fix=N_("Free space there, or choose another storage."), name=storage.name,
        )  # fmt: skip
    others = Image.objects.filter(state__in=COMING).exclude(pk=image.pk)
    outstanding = others.aggregate(bytes=Sum(F("size_bytes") - F("received_bytes")))["bytes"] or 0
    uploads.require_room(outstanding + size_bytes)
