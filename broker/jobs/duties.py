"""Run a periodic duty, in one place at a time: the row's compare-and-swap decides who of several schedulers does."""

import importlib
import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from django.db import connection, models
from django.db.models import Q

from broker.core import clock
from broker.sql import Given, Statement, given, time, written

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
    if not _claimed(name, now, every):
        return False
    began, error = clock.steady(), ""
    _HOLDER.add(name, now)
    try:
        _function(path)()
    except Exception as problem:
        log.exception("Duty %s failed; it comes round again", name)
        error = f"{type(problem).__name__}: {problem}"
    finally:
        _HOLDER.remove(name, now)
        took = int((clock.steady() - began) * 1000)
        _DONE.run(name=name, began=now, busy_until=clock.now(), took_ms=took, error=error)
    return True


def _claimed(name: str, now: datetime, every: float) -> bool:
    values = {
        "name": name, "now": now, "before": now - timedelta(seconds=every * 0.5),
        "busy_until": now + timedelta(seconds=HELD_SECONDS), "began_at": now,
    }  # fmt: skip
    if _CLAIM.run(**values):
        return True
    _, new = Duty.objects.get_or_create(name=name, defaults={"busy_until": now})
    return new and bool(_CLAIM.run(**values))


_CLAIM = Statement(
    lambda: (
        written(Duty)
        .filter(Q(began_at__isnull=True) | Q(began_at__lte=time("before")), pk=Given("name", models.CharField()))
        .filter(busy_until__lte=time("now"))
        .update(**given(Duty, "busy_until", "began_at"))
    )
)
_DONE = Statement(
    lambda: (
        written(Duty)
        .filter(pk=Given("name", models.CharField()), began_at=time("began"))
        .update(**given(Duty, "busy_until", "took_ms", "error"))
    )
)


class _Holder:
    """Keeps the duties under way in this process ours for as long as they take, by one thread for all of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: set[tuple[str, datetime]] = set()
        self._never = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, name: str, began: datetime) -> None:
        with self._lock:
            self._held.add((name, began))
            if self._thread is None:
                self._thread = threading.Thread(target=self._hold, name="duties-holder", daemon=True)
                self._thread.start()

    def remove(self, name: str, began: datetime) -> None:
        with self._lock:
            self._held.discard((name, began))

    def _hold(self) -> None:
        """Put off the end of all of them, well before the first would run out; ends when there are none any more."""
        try:
            while True:
                self._never.wait(HELD_SECONDS / 3)
                with self._lock:
                    if not self._held:
                        self._thread = None
                        return
                    held = list(self._held)
                for name, began in held:
                    until = clock.now() + timedelta(seconds=HELD_SECONDS)
                    try:
                        Duty.objects.filter(name=name, began_at=began).update(busy_until=until)
                    except Exception as error:
                        log.warning("Duty %s is not held: %s", name, error)
        finally:
            connection.close()


_HOLDER = _Holder()


def _function(path: str) -> Callable[[], Any]:
    module, _, name = path.rpartition(".")
    function: Callable[[], Any] = getattr(importlib.import_module(module), name)
    return function
