"""Where the files of recordings lie, and how their keys are sealed."""

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from django.conf import settings

from broker.core.sealing import Sealer
from broker.settings import env

from .format import KEY_BYTES

if TYPE_CHECKING:
    from broker.connections.models import Recording


def directory() -> Path:
    return env.recordings_dir or env.data_dir / "recordings"


def path_of(recording: UUID) -> Path:
    return directory() / f"{recording}.rec"


def remove(recording: UUID) -> None:
    path_of(recording).unlink(missing_ok=True)


def new_key() -> tuple[bytes, str]:
    """A key for one file, and it sealed."""
    key = os.urandom(KEY_BYTES)
    return key, _sealer(settings.SECRET_KEY).seal(key.hex())


def key_of(recording: "Recording") -> bytes:
    """Raises CannotOpen when it was sealed with another installation's key."""
    return bytes.fromhex(_sealer(settings.SECRET_KEY).open(recording.key))


@cache
def _sealer(key: str) -> Sealer:
    return Sealer(key, "console recording")
