"""The key that signs a webhook: sealed in the row, open only while a delivery is sent."""

from broker.core.sealing import Sealer

_SEALER = Sealer("webhook key")


def sealed(key: str) -> str:
    return _SEALER.seal(key)


def opened(token: str) -> str:
    """Raises CannotOpen when it was sealed with another key of the installation."""
    return _SEALER.open(token)
