"""What is shown of a second factor that is being set up: a picture for the phone, and the secret to be typed."""

from typing import Any

from django.utils.safestring import mark_safe

from broker.directories.models import User
from broker.directories.second_factor import address_of


def offer(secret: str, user: User) -> dict[str, Any]:
    """For portal/partials/second_factor_offer.html."""
    import segno  # few pages draw such a picture

    picture = segno.make(address_of(secret, user), error="m").svg_inline(scale=4, border=4, omitsize=True, light="#fff")
    return {
        # The library's own drawing: of what is in it only black and white squares are left.
        "picture": mark_safe(picture),  # noqa: S308
        "secret": secret,
        "typed_secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "digits": 6,
    }
