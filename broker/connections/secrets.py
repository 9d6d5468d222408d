"""Ticket secrets and what is kept of them; the time that cannot be set back."""

import hashlib
import secrets
import time
from functools import cache
from pathlib import Path


def new_secret() -> str:
    """256 random bits as 43 characters of base64url."""
    return secrets.token_urlsafe(32)


def fingerprint(secret: str) -> str:
    """SHA-256 in hex. No salt and no slow hash: there is nothing to guess in 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def uptime() -> float:
    """Seconds since this computer was started, sleep included; no clock setting moves it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def computer() -> str:
    """Names this computer's present run (random_id(4), boot_id): uptimes compare only within it."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
