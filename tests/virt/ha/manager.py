"""One manager: workers, scheduler and monitor as a process of its own, which a test can kill as one.

    python -m tests.virt.ha.manager

Says "ready" when its workers take jobs. Its way to the others is PostgreSQL and Redis, as the environment says.
"""

import os
import signal
import threading
import time

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")

import django


def main() -> None:
    django.setup()
    if "FAKETIME" in os.environ:
        del os.environ["LD_PRELOAD"]  # fence agents have the same trouble with it as the next line
        time.sleep = lambda seconds: threading.Event().wait(seconds)  # faketime breaks the call that Python makes
    from portal.processes.scheduler import scheduler
    from portal.processes.together import MonitorThread
    from portal.processes.worker import workers

    mine = workers()
    for part in (*mine, scheduler(), MonitorThread()):
        part.start()
    for worker in mine:
        worker.ready.wait()
    print("ready", flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
