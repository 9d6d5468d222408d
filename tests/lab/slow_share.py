"""A share whose server can hang: a file system in a process (bindfs), mounted on a host, that is stopped and goes on.

Whoever touches it while it is stopped waits in the kernel, as with an NFS server that is gone.
"""

import os
import signal
import subprocess
import time
from pathlib import Path

from tests.lab.host import LabHost


class SlowShare:
    """`path`: where the host has it; the files lie in `exported`."""

    def __init__(self, host: LabHost, exported: Path, path: Path) -> None:
        self.host, self.exported, self.path = host, exported, path

    def __enter__(self) -> "SlowShare":
        for folder in (self.exported, self.path):
            folder.mkdir(parents=True, exist_ok=True)
        self._server = subprocess.Popen(
            ["nsenter", "--target", str(self.host.init_pid), "--mount", "bindfs", "-f", self.exported, self.path]
        )
        deadline = time.monotonic() + 20
        while str(self.path) not in Path(f"/proc/{self.host.init_pid}/mounts").read_text():
            assert time.monotonic() < deadline and self._server.poll() is None, "the share is not mounted"
            time.sleep(0.02)
        return self

    def hang(self) -> None:
        self._server.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._server.send_signal(signal.SIGCONT)

    def __exit__(self, *exc: object) -> None:
        os.kill(self._server.pid, signal.SIGKILL)  # whoever still waits gets an error
        self._server.wait()
        enter = ["nsenter", "--target", str(self.host.init_pid), "--mount", "umount", "--lazy", str(self.path)]
        subprocess.run(enter, check=False, capture_output=True)
