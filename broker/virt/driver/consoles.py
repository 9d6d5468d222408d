"""A machine's screen, keys and serial line, as its host offers them."""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol


class Consoles(Protocol):
    def screenshot(self, uuid: str) -> tuple[bytes, str]:
        """The picture on the screen and its media type. Raises Refused when not running."""
        ...

    def serial(self, uuid: str, *, force: bool = False) -> AbstractContextManager["SerialStream"]: ...
    def send_keys(self, uuid: str, keycodes: Iterable[int], *, hold_ms: int = 50) -> None:
        """Press the keys together (Linux input keycodes)."""
        ...


class SerialStream(Protocol):
    def read(self, timeout: float) -> bytes:
        """What the guest wrote since, b"" when nothing came within `timeout` seconds."""
        ...

    def write(self, data: bytes) -> None: ...
