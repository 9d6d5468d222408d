"""The console gateway as our child: started, watched, started again when it dies, stopped with us."""

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


class GatewayChild:
    """Keeps one gateway process running. It also goes by itself when this process is gone (the lifeline)."""

    def __init__(self, socket_path: Path):
        self.socket_path = socket_path
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name="gateway-keeper", daemon=True)
        self._lifeline, self._our_end = os.pipe()

    def start(self) -> None:
        self._thread.start()

    def _keep(self) -> None:
        pause = 0.5
        while not self._stop.is_set():
            began = clock.steady()
            self._child = subprocess.Popen(
                [sys.executable, "-m", "broker.gateway", "--handover", str(self.socket_path),
                 "--lifeline", str(self._lifeline)],
                cwd=settings.BASE_DIR,
                pass_fds=(self._lifeline,),
                start_new_session=True,  # Ctrl-C reaches us alone; we then stop it in order
            )  # fmt: skip
            code = self._child.wait()
            if self._stop.is_set():
                return
            log.error("The console gateway ended with %s; starting it again", code)
            pause = 0.5 if clock.steady() - began > 30 else min(pause * 2, 15.0)
            self._stop.wait(pause)

    def stop(self) -> None:
        self._stop.set()
        if self._child and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
        self._thread.join(2)
        os.close(self._our_end)
        os.close(self._lifeline)

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.poll() is None
