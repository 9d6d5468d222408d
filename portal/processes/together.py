"""Everything on one machine: web, worker, scheduler and monitor in this process, the gateway as its child."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from django.conf import settings

from broker.settings import env
from broker.virt import serial
from broker.virt.monitor.process import Monitor
from broker.virt.serial.door import SerialDoor

from .gateway_child import GatewayChild
from .libvirtd import Libvirtd
from .scheduler import scheduler
from .web import Web
from .worker import workers

log = logging.getLogger(__name__)


class Part(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...
    @property
    def alive(self) -> bool: ...


class MonitorThread:
    """The monitor as a thread."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=Monitor().run, args=(self._stop,), name="monitor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(5)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()


def serve(*, libvirtd: Libvirtd | None, beside: Callable[[threading.Event], None] | None = None) -> None:
    """Run until SIGINT or SIGTERM, then stop every part in order; machines go on.

    `beside` runs in a thread of its own once the parts have started (setting up the demo); its event is set
    when the server stops.
    """
    stopping = threading.Event()
    socket_path = runtime_dir() / "gateway.sock"
    parts: list[Part] = []
    try:
        wanted: tuple[Part, ...] = (
            *workers(),
            scheduler(),
            MonitorThread(),
            SerialDoor(serial.socket_path()),
            GatewayChild(socket_path),
        )
        for part in wanted:
            part.start()
            parts.append(part)
        if beside:
            threading.Thread(target=beside, args=(stopping,), name="beside", daemon=True).start()
        Web(env.listen, str(socket_path)).serve()
    finally:
        stopping.set()
        for part in reversed(parts):
            try:
                part.stop()
            except Exception:
                log.exception("%s did not stop in order", type(part).__name__)
        if libvirtd:
            libvirtd.stop()


def runtime_dir() -> Path:
    """Where the processes meet: sockets, readable by this user alone."""
    path: Path = settings.DATA_DIR / "run"
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)
    return path
