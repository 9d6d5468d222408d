"""Keep short secrets (a bind password) unreadable in the database: sealed with a key that is not in it.

Fernet (AES-128-CBC with HMAC-SHA256) under a key derived with HKDF from the installation's own key. Each use has its
purpose, so that what was sealed for one thing does not open as another.

The library is loaded with the first seal: processes that keep no secrets (the gateway) are 5 MB smaller without it.
"""

import base64


class CannotOpen(ValueError):
    """Sealed with another key, for another purpose, or damaged."""


class Sealer:
    """Seals and opens text under `key`, the installation's secret, for one `purpose`."""

    def __init__(self, key: str, purpose: str):
        from cryptography.fernet import Fernet
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        derived = HKDF(SHA256(), 32, salt=None, info=f"berth sealed text: {purpose}".encode()).derive(key.encode())
        self._box = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, text: str) -> str:
        """The text as a token of base64; "" stays ""."""
        return self._box.encrypt(text.encode()).decode() if text else ""

    def open(self, token: str) -> str:
        """The text again. Raises CannotOpen."""
        from cryptography.fernet import InvalidToken

        try:
            return self._box.decrypt(token.encode()).decode() if token else ""
        except InvalidToken:
            raise CannotOpen("sealed with another key, or damaged") from None
