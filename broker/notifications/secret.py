"""The key that signs a webhook: sealed in the row, open only while a delivery is sent."""

from functools import cache

from django.conf import settings

from broker.core.sealing import Sealer


@cache
def _sealer(key: str) -> Sealer:
    return Sealer(key, "webhook key")


def sealed(key: str) -> str:
    return _sealer(settings.SECRET_KEY).seal(key)


def opened(token: str) -> str:
    """Raises CannotOpen when it was sealed with another key of the installation."""
    return _sealer(settings.SECRET_KEY).open(token)
