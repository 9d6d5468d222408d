"""What the single-process commands share: refuse where they cannot work, run until told to stop."""

import signal
import threading
from typing import Any, Protocol

from django.core.management.base import BaseCommand, CommandError

from .worker import refuse_embedded


class Startable(Protocol):
    def start(self) -> None: ...
    def stop(self) -> None: ...


def until_told() -> threading.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


class PartCommand(BaseCommand):
    """Runs what `parts()` gives until told to stop."""

    name = ""
    requires_system_checks: list[str] = []

    def parts(self, options: dict[str, Any]) -> list[Startable]:
        raise LookupError(f"{self.name} has no parts")

    def handle(self, *args: Any, **options: Any) -> None:
        if reason := refuse_embedded(self.name):
            raise CommandError(reason)
        stop, parts = until_told(), self.parts(options)
        for part in parts:
            part.start()
        self.stdout.write(f"Berth {self.name} is running.")
        self.stdout.flush()
        stop.wait()
        for part in reversed(parts):
            part.stop()
