"""The scheduler: Celery beat in a thread, or the duties themselves where everything runs in one process.

Several are harmless: each duty holds a lock of its own.
"""

import threading

from celery.beat import Scheduler, Service
from django.conf import settings

from broker.celery import app

from .rounds import Rounds


class Beat:
    def __init__(self) -> None:
        # The plain scheduler keeps its state in memory: a duty that ran a moment early after a restart does no harm.
        self.service = Service(app, max_interval=1, scheduler_cls=Scheduler)
        self.thread = threading.Thread(
            target=self.service.start, kwargs={"embedded_process": False}, name="scheduler", daemon=True
        )

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.service.stop(wait=False)
        self.thread.join(3)

    @property
    def alive(self) -> bool:
        return self.thread.is_alive()


def scheduler() -> Beat | Rounds:
    """What has the duties done, as the messages go."""
    return Rounds() if settings.EMBEDDED else Beat()
