"""Workers: Celery consumers that run jobs and duties, as threads of the one process or as a process of their own."""

import logging
import threading
from typing import Any

from celery import Celery
from celery.worker import WorkController, state
from django.conf import settings
from django.db import connection
from kombu.asynchronous import set_event_loop

from broker.celery import TASK_PACKAGES, app
from broker.jobs import idle_line
from broker.settings import env

log = logging.getLogger(__name__)
_MAKING = threading.Lock()
STOP_SECONDS, PAUSE_SECONDS = 5.0, 1.0
SHARED = (
    "broker_url", "broker_connection_retry_on_startup", "task_ignore_result", "task_serializer", "accept_content",
    "worker_prefetch_multiplier", "worker_hijack_root_logger", "task_default_queue", "task_routes", "timezone",
)  # fmt: skip


class _Controller(WorkController):
    """A worker without a console, signals or forks; tells when it is consuming."""

    consuming: threading.Event

    def on_before_init(self, consuming: threading.Event | None = None, **kwargs: Any) -> None:
        self.consuming = consuming or threading.Event()
        super().on_before_init(**kwargs)

    def on_consumer_ready(self, consumer: Any) -> None:
        super().on_consumer_ready(consumer)
        self.consuming.set()


def _app_for(queue: str) -> Celery:
    """An app of its own: which queues are consumed is a property of the app, not of the worker."""
    own = Celery(f"berth-{queue}", set_as_current=False)
    own.conf.update({name: getattr(app.conf, name) for name in SHARED})
    own.autodiscover_tasks(TASK_PACKAGES, force=True)
    own.finalize()
    if connection.vendor == "sqlite":
        known: Any = own
        for fixup in known._fixups:  # it closes the thread's line before and after each task
            fixup.worker_fixup.close_database = lambda **_: idle_line.rest()
    return own


class Worker:
    """Consumes one queue with some threads until stopped; a consumer that breaks is replaced."""

    def __init__(self, queue: str, threads: int, stopping: threading.Event):
        self.queue, self.threads, self.ready = queue, threads, threading.Event()
        self._app, self._stopping = _app_for(queue), stopping
        self._controller: _Controller | None = None
        self.thread = threading.Thread(target=self._keep, name=f"worker-{queue}", daemon=True)

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._controller = self._made()
            try:
                self._controller.start()
            except SystemExit:
                log.debug("The consumer of %s was told to go", self.queue)
            if not self._stopping.is_set():
                log.error("The consumer of %s broke; another takes its place", self.queue)
                # Celery tells all its consumers of a process to go by these two flags.
                state.should_stop = state.should_terminate = None
                self._stopping.wait(PAUSE_SECONDS)

    def _made(self) -> _Controller:
        # Celery keeps one event loop a process, and a second consumer would take the first one's: two threads would
        # then read the same lines to Redis, and lose what the other is waiting for.
        with _MAKING:
            set_event_loop(None)
            return _Controller(
                app=self._app,
                consuming=self.ready,
                pool_cls="threads",
                concurrency=self.threads,
                queues=[self.queue],
                hostname=f"{self.queue}@berth",
                without_gossip=True,
                without_mingle=True,
                without_heartbeat=True,
                logfile=None,
            )

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        """Take nothing more; what is under way is resumed by whoever comes next, so waiting is brief."""
        self._stopping.set()
        if controller := self._controller:
            # In a thread: a consumer whose line to Redis broke may never answer.
            threading.Thread(target=controller.stop, kwargs={"exitcode": 0}, daemon=True).start()
        self.thread.join(STOP_SECONDS)

    @property
    def alive(self) -> bool:
        return self.thread.is_alive()


def workers() -> list[Worker]:
    """One consumer for jobs and a small one for duties, so that long jobs never hold up a duty."""
    # One event for both: the end of one closes lines that the other uses, which must not look like a breakdown.
    stopping = threading.Event()
    return [Worker("jobs", env.worker_threads, stopping), Worker("duties", 2, stopping)]


def refuse_embedded(process: str) -> str | None:
    """Why `process` cannot run apart from the others, or None: the in-memory broker reaches one process only."""
    if settings.EMBEDDED:
        return (
            f"`{process}` as a process of its own needs a message broker that others reach: set BERTH_BROKER_URL "
            "(redis://… or amqp://…) and BERTH_REDIS_URL, or run everything with `manage.py serve`."
        )
    return None
