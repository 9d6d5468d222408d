"""The console gateway as our child: started, watched, started again when it dies or gives way, stopped with us.

One that was told to stop (SIGTERM) takes nothing new and removes its door; the next is started at once, and the old one
moves its consoles there and goes.
"""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

from django.conf import settings

from broker.core import clock

log = logging.getLogger(__name__)
STOP_SECONDS = 6.0
_LOOK = 0.1


class GatewayChild:
    """Keeps one gateway process running. It also goes by itself when this process is gone (the lifeline)."""

    def __init__(self, socket_path: Path):
        self.socket_path = socket_path
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._leaving: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._keep, name="gateway-keeper", daemon=True)
        self._lifeline, self._our_end = os.pipe()

    def start(self) -> None:
        self._thread.start()

    def _keep(self) -> None:
        pause = 0.0
        while not self._stop.is_set():
            began = clock.steady()
            self._child = self._started()
            gives_way = self._watched(self._child)
            if self._stop.is_set():
                return
            if gives_way:
                log.info("The console gateway gives way to another")
                self._leaving = [child for child in (*self._leaving, self._child) if child.poll() is None]
                continue
            log.error("The console gateway ended with %s; starting it again", self._child.returncode)
            # One that ran for a while is missed by whose consoles it had; only one that keeps dying has to wait.
            pause = 0.0 if clock.steady() - began > 30 else min(max(pause * 2, 0.5), 15.0)
            self._stop.wait(pause)

    def _watched(self, child: "subprocess.Popen[bytes]") -> bool:
        """Until it ended, or took its door away: whether the latter."""
        opened = False
        while child.poll() is None and not self._stop.wait(_LOOK):
            there = self.socket_path.exists()
            if opened and not there:
                return True
            opened = opened or there
        return False

    def _started(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "broker.gateway", "--handover", str(self.socket_path),
             "--lifeline", str(self._lifeline)],
            cwd=settings.BASE_DIR,
            pass_fds=(self._lifeline,),
            start_new_session=True,  # Ctrl-C reaches us alone; we then stop it in order
        )  # fmt: skip

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(2)
        os.close(self._our_end)  # they hear that nobody follows, and go at once
        children = [child for child in (*self._leaving, self._child) if child and child.poll() is None]
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
        os.close(self._lifeline)

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None
