"""Where the files of recordings lie, and how their keys are sealed."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from broker.core.sealing import Sealer
from broker.settings import env

from .format import KEY_BYTES

_SEALER = Sealer("console recording")

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
    return key, _SEALER.seal(key.hex())


def key_of(recording: "Recording") -> bytes:
    """Raises CannotOpen when it was sealed with another installation's key."""
    return bytes.fromhex(_SEALER.open(recording.key))
