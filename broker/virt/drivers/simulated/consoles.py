"""Screen, serial line and keyboard of simulated machines. The guest echoes what is typed on the serial line."""

import secrets
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from broker.core.text import gettext_noop
from broker.virt.driver import Locked, Refused
from broker.virt.drivers.simulated.machines import Link
from broker.virt.drivers.simulated.power import running
from broker.virt.drivers.simulated.world import World

_WIDTH, _HEIGHT = 64, 40
_PAUSE = 0.01  # seconds between two looks at a silent line


class Showing(Link):
    """The consoles of a simulated host."""

    def screenshot(self, uuid: str) -> tuple[bytes, str]:
        self.meet("screenshot")
        with self.world.changing() as data:
            run = running(data, uuid)["run"]
        return picture((run * 37 % 256, 64, 128)), "image/png"

    @contextmanager
    def serial(self, uuid: str, *, force: bool = False) -> Iterator["Line"]:
        self.meet("serial")
        holder = secrets.token_hex(8)
        with self.world.changing() as data:
            machine = running(data, uuid)
            if machine.get("line") and not force:
                raise Locked(gettext_noop("Somebody else has the serial line of “%(name)s”."), name=machine["name"])
            machine["line"] = holder
        try:
            yield Line(self.world, uuid)
        finally:
            with self.world.changing() as data:
                machine = data["machines"].get(uuid, {})
                if machine.get("line") == holder:
                    machine["line"] = ""

    def send_keys(self, uuid: str, keycodes: Iterable[int], *, hold_ms: int = 50) -> None:
        self.meet("send_keys")
        keys = list(keycodes)
        if not 0 < len(keys) <= 16:
            raise Refused(gettext_noop("Between 1 and %(most)s keys can be pressed together."), most=16)
        with self.world.changing() as data:
            running(data, uuid)["keys"] = keys


class Line:
    """An open serial line."""

    def __init__(self, place: World, uuid: str) -> None:
        self._world, self._uuid = place, uuid

    def read(self, timeout: float) -> bytes:
        """What came since the last read; b"" when nothing came within `timeout` seconds."""
        waited = 0.0
        while True:
            with self._world.changing() as data:
                machine = data["machines"].get(self._uuid, {"serial": ""})
                text, machine["serial"] = machine["serial"], ""
            if text or waited >= timeout:
                return str(text).encode("latin-1")
            self._world.sleep(_PAUSE)
            waited += _PAUSE

    def write(self, data: bytes) -> None:
        """Type on the line."""
        with self._world.changing() as state:
            running(state, self._uuid)["serial"] += data.decode("latin-1")


def picture(colour: tuple[int, int, int]) -> bytes:
    """A PNG of one colour."""
    row = b"\0" + bytes(colour) * _WIDTH
    header = struct.pack(">IIBBBBB", _WIDTH, _HEIGHT, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(row * _HEIGHT)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
