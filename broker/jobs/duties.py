"""Run a periodic duty, in one place at a time: the row's compare-and-swap decides who of several schedulers does."""

import importlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, models

from broker.core import clock

from . import shared_clock

log = logging.getLogger(__name__)
HELD_SECONDS = 15.0  # so long after its manager died is a duty taken over


class Duty(models.Model):
    """When a duty last began; `busy_until` keeps others out while it runs, is put off meanwhile, and lets them in."""

    name = models.CharField(max_length=64, primary_key=True)
    busy_until = models.DateTimeField(default=clock.now)
    began_at = models.DateTimeField(null=True)
    took_ms = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "duties"

    def __str__(self) -> str:
        return self.name


def run(name: str, path: str, every: float) -> bool:
    """Do the duty unless it is being done or was done just now; returns whether it was done here."""
    shared_clock.look()
    now = clock.now()
    Duty.objects.get_or_create(name=name, defaults={"busy_until": now})
    free = Duty.objects.filter(name=name, busy_until__lte=now).exclude(
        began_at__gt=now - timedelta(seconds=every * 0.5)
    )
    if not free.update(busy_until=now + timedelta(seconds=HELD_SECONDS), began_at=now):
        return False
    began, error = clock.steady(), ""
    try:
        with _held(name, now):
            _function(path)()
    except Exception as problem:
        log.exception("Duty %s failed; it comes round again", name)
        error = f"{type(problem).__name__}: {problem}"
    finally:
        took = int((clock.steady() - began) * 1000)
        Duty.objects.filter(name=name, began_at=now).update(busy_until=clock.now(), took_ms=took, error=error)
    return True


@contextmanager
def _held(name: str, began: datetime) -> Iterator[None]:
    """Keep the duty ours for as long as the block takes, and no longer than this process lives."""
    done = threading.Event()

    def hold() -> None:
        try:
            while not done.wait(HELD_SECONDS / 3):
                until = clock.now() + timedelta(seconds=HELD_SECONDS)
                try:
                    Duty.objects.filter(name=name, began_at=began).update(busy_until=until)
                except DatabaseError as error:
                    log.warning("Duty %s is not held: %s", name, error)
        finally:
            connection.close()

    holder = threading.Thread(target=hold, name=f"hold-{name}", daemon=True)
    holder.start()
    try:
        yield
    finally:
        done.set()
        holder.join()


def _function(path: str) -> Callable[[], Any]:
    module, _, name = path.rpartition(".")
    function: Callable[[], Any] = getattr(importlib.import_module(module), name)
    return function
