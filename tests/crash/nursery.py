"""Makes workers by the dozen: a process that has loaded Django once and forks a worker for each order.

Orders come as JSON lines on stdin: {"job": id, "acts": [[step, "before|did|undid", "kill|stop|cancel"], …]}; each act
is done once, and without any the worker just works. The answer on stdout is the worker's {"pid": …}; when it ends,
{"pid", "ended"}.
libvirt and database connections are opened in the forks only.
"""

import json
import os
import select
import signal
import sys
from typing import Any
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "broker.settings")

import django


def main(database: str) -> None:
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = database
    django.setup()
    from broker.jobs import enqueue, runner  # noqa: F401 - loaded once, here

    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake)
    pending = b""
    while True:
        ready, _, _ = select.select([0, woken], [], [])
        if woken in ready:
            os.read(woken, 4096)
            bury()
        if 0 in ready:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                tell(pid=fork(json.loads(line)))


def bury() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        tell(pid=pid, ended=os.waitstatus_to_exitcode(status))


def tell(**answer: int) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def fork(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    signal.set_wakeup_fd(-1)
    code = 1
    try:
        work(order)
        code = 0
    finally:
        sys.stderr.flush()
        os._exit(code)


def work(order: dict[str, Any]) -> None:
    from broker.jobs import enqueue, lease, runner
    from broker.jobs.models import Job

    # A message sent by a forked worker would go nowhere; the test is the waker.
    enqueue.wake = runner.wake = lambda job_id, countdown=0.0: None
    lease.RENEWER = runner.RENEWER = lease.Renewer()
    acts = {(step, when): act for step, when, act in order["acts"]}

    def boundary(plan: str, step: str, when: str) -> None:
        act = acts.pop((step, when), None)
        if act == "cancel":
            Job.objects.filter(pk=order["job"]).update(cancel_requested=True)
        elif act:
            os.kill(os.getpid(), signal.SIGKILL if act == "kill" else signal.SIGSTOP)

    runner.Runner(boundary).run(UUID(order["job"]))


if __name__ == "__main__":
    main(sys.argv[1])
