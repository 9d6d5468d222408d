"""A console's terms as its engine applies them: what is filtered, and how fast the picture may come."""

from .desk import Admitted
from .rfb.viewonly import ViewOnlyFilter

BURST = 1.0
"""Seconds' worth of bytes that may come at once: a picture after a pause is not to be slow."""


def filter_of(admitted: Admitted) -> ViewOnlyFilter | None:
    """What looks at the browser's messages; None when all may pass unseen."""
    terms = admitted.terms
    if admitted.view_only:
        return ViewOnlyFilter()
    if terms.paste and terms.copy:
        return None
    return ViewOnlyFilter(control=True, paste=terms.paste, copy=terms.copy)


class Meter:
    """A bucket of tokens: `spend` says for how long to wait before more may come."""

    def __init__(self, speed: int, now: float):
        self._speed, self._left, self._at = speed, speed * BURST, now

    def spend(self, count: int, now: float) -> float:
        self._left = min(self._left + (now - self._at) * self._speed, self._speed * BURST) - count
        self._at = now
        return max(-self._left / self._speed, 0.0)
