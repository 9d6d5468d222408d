"""Keep short secrets (a bind password) unreadable in the database: sealed with a key that is not in it.

Fernet (AES-128-CBC with HMAC-SHA256) under a key derived with HKDF from the installation's own key. Each use has its
purpose, so that what was sealed for one thing does not open as another.

The library is loaded with the first seal: processes that keep no secrets (the gateway) are 5 MB smaller without it.
"""

import base64
from functools import cache
from typing import Any

from django.conf import settings


class CannotOpen(ValueError):
    """Sealed with another key, for another purpose, or damaged."""


class Sealer:
    """Seals and opens text under the installation's secret key, for one `purpose`."""

    def __init__(self, purpose: str):
        self._purpose = purpose

    def seal(self, text: str) -> str:
        """The text as a token of base64; "" stays ""."""
        return _box(settings.SECRET_KEY, self._purpose).encrypt(text.encode()).decode() if text else ""

    def open(self, token: str) -> str:
        """The text again. Raises CannotOpen."""
        from cryptography.fernet import InvalidToken

        try:
            return _box(settings.SECRET_KEY, self._purpose).decrypt(token.encode()).decode() if token else ""
        except InvalidToken:
            raise CannotOpen("sealed with another key, or damaged") from None


@cache
def _box(key: str, purpose: str) -> Any:
    from cryptography.fernet import Fernet
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    derived = HKDF(SHA256(), 32, salt=None, info=f"berth sealed text: {purpose}".encode()).derive(key.encode())
    return Fernet(base64.urlsafe_b64encode(derived))
