"""What is said of second factors: a picture for the phone and the secret to be typed, and whom a demand hits."""

from typing import Any

from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from broker.access.actor import Actor
from broker.access.models import Role
from broker.directories.demands import hit_by
from broker.directories.models import Directory, User
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


def whom_it_hits(demand: Role | Directory, actor: Actor) -> str:
    """What the demand would do now, for who is about to make it; `actor` may be one of them."""
    people = hit_by(demand)
    count = people.count()
    if not count:
        return _("Everybody it is demanded of has one.")
    told = ngettext(
        "%(count)d person has none: their sign-in and consoles end now, and API tokens wait until one is set up.",
        "%(count)d people have none: their sign-ins and consoles end now, and API tokens wait until one is set up.",
        count,
    ) % {"count": count}
    if actor.user is None or not people.filter(pk=actor.user.pk).exists():
        return told
    return f"{told} {_('You are one of them: your next page is where you set yours up.')}"
