"""The test's side of the nursery: send workers out, be the waker, and let nothing outlive the test."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from uuid import UUID

from django.db import connection

from broker.core import clock
from broker.jobs.models import Job
from broker.jobs.states import ACTIVE

AT_ONCE = 6


class Crew:
    """Workers made by the nursery, with leases of this many seconds. `alive`: the pids of those that have not ended."""

    def __init__(self, lease: float) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery", str(connection.settings_dict["NAME"])],
            env={**os.environ, "BERTH_JOB_LEASE": str(lease)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.alive: set[int] = set()
        self._born: queue.Queue[int] = queue.Queue()
        self._changed = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            answer = json.loads(line)
            with self._changed:
                if "ended" in answer:
                    self.alive.discard(answer["pid"])
                else:
                    self.alive.add(answer["pid"])
                    self._born.put(answer["pid"])
                self._changed.notify_all()

    def send(self, job_id: UUID, *acts: tuple[str, str, str]) -> int:
        """A worker for the job, which at each (step, when) kills, stops or cancels; returns its pid."""
        assert self.process.stdin
        order = {"job": str(job_id), "acts": acts}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return self._born.get(timeout=30)

    def wait_for_room(self, counted: Callable[[int], bool] = lambda pid: True, most: int = AT_ONCE) -> None:
        """Wait until fewer than `most` workers are at work (stopped ones do not count)."""
        deadline = time.monotonic() + 120
        while True:
            with self._changed:
                busy = [pid for pid in self.alive if counted(pid) and not stopped(pid)]
                if len(busy) < most:
                    return
                self._changed.wait(0.1)
            if time.monotonic() > deadline:
                raise AssertionError(f"workers do not end: {busy}")

    def wait_all(self, pids: set[int], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        with self._changed:
            while self.alive & pids:
                if not self._changed.wait(max(deadline - time.monotonic(), 0)):
                    raise AssertionError(f"workers still alive after {seconds} s: {self.alive & pids}")

    def drain(self, job_ids: set[UUID], seconds: float) -> None:
        """Be the waker: send a healthy worker to each due job, children included, until all of `job_ids` have ended."""
        deadline = time.monotonic() + seconds
        sent: dict[UUID, int] = {}
        while True:
            now = clock.now()
            active = Job.objects.filter(pk__in=job_ids, state__in=ACTIVE)
            every = Job.objects.filter(state__in=ACTIVE, lease_until__lte=now, next_run_at__lte=now)
            due = list(every.values_list("pk", flat=True))
            for job_id in due:
                if sent.get(job_id) not in self.alive:
                    self.wait_for_room()
                    sent[job_id] = self.send(job_id)
            if not active.exists():
                return
            if time.monotonic() > deadline:
                left = list(active.values_list("plan", "state", "position", "message", "error"))
                raise AssertionError(f"jobs do not end within {seconds} s: {left}")
            time.sleep(0.2)

    def close(self) -> None:
        for pid in list(self.alive):
            os.kill(pid, signal.SIGKILL)
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(10)


def stopped(pid: int) -> bool:
    """Whether the process is frozen (SIGSTOP) or already a zombie, from proc(5)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] in "TZ"
    except (FileNotFoundError, ProcessLookupError):
        return True
