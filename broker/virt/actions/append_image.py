"""Take the next bytes of an image that is being uploaded."""

from typing import IO, Any
from uuid import UUID

from broker.access.actor import Actor
from broker.access.require import require
from broker.core import clock
from broker.core.errors import Conflict, Invalid
from broker.core.text import gettext_noop as N_
from broker.events.news import publish
from broker.virt import sums, uploads
from broker.virt.models import Image
from broker.virt.states import IMAGE


def append_image(*, actor: Actor, image: Image, offset: int, length: int, stream: IO[bytes]) -> Image:
    """Write `length` bytes of `stream`, which must go on right where the image ends; returns the image as it is then.

    A stream that breaks off leaves what came of it: ask the image how much that is, and go on there.
    Raises Missing, Denied, Invalid, Conflict (with the offset that is expected), Busy or NoCapacity.
    """
    require(actor, "image.manage", image)
    if not 0 < length <= uploads.LARGEST_CHUNK:
        raise Invalid(
            N_("A piece has 1 to %(most)s bytes."), field="length", fix=N_("Send smaller pieces."),
            most=uploads.LARGEST_CHUNK,
        )  # fmt: skip
    _expected(image.pk, offset, length)
    with uploads.arriving(image.pk, offset=offset) as file:
        image = _expected(image.pk, offset, length)  # nobody else writes now
        told = sums.taken(image.pk, offset) if image.sha256 else None
        came = uploads.write(file, stream, offset=offset, length=length, told=told)
        here, same = offset + came, Image.objects.filter(pk=image.pk, received_bytes=offset, state=image.state)
        changed: dict[str, Any] = {"received_bytes": here, "touched_at": clock.now()}
        if told is not None and here == image.size_bytes:
            changed["arrived_sha256"] = told.hexdigest()
        if came and not same.update(**changed):
            raise Conflict(
                N_("Another piece of this image came first."), rule="upload.offset", fix=N_("Send one after the other.")
            )
        if told is not None:
            sums.keep(image.pk, here, told)
    publish("image", image.pk, "grown")
    return Image.objects.get(pk=image.pk)


def _expected(pk: UUID, offset: int, length: int) -> Image:
    """The image, if these are the bytes it waits for."""
    image = Image.objects.get(pk=pk)
    if not IMAGE.is_(image.state, "growing"):
        raise Conflict(
            N_("%(name)s takes no more bytes."), rule="upload.open", fix=N_("Upload it anew."), name=image.name
        )
    if offset != image.received_bytes:
        raise Conflict(
            N_("The next byte expected is %(expected)s."), rule="upload.offset",
            fix=N_("Go on from there."), expected=image.received_bytes,
        )  # fmt: skip
    if offset + length > image.size_bytes:
        raise Invalid(
            N_("This is more than the %(size)s bytes that were announced."), field="length",
            fix=N_("Announce the right size."), size=image.size_bytes,
        )  # fmt: skip
    return image
