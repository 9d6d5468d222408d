"""A real RDP server: FreeRDP's shadow server, which shows a display of its own and asks for a password (NLA)."""

import os
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

DISPLAY = ":88"


@contextmanager
def remote_desktop(directory: Path, address: str, *, user: str, password: str):
    """Listens at `address`:3389 with a terminal on its screen, in which what is typed is run; ends what it began."""
    hashed = ("winpr-hash", "-u", user, "-p", password, "-f", "sam")
    (directory / "sam").write_bytes(subprocess.run(hashed, check=True, capture_output=True).stdout)
    environment = {**os.environ, "DISPLAY": DISPLAY, "HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
    with ExitStack() as stack:

        def start(*command: str) -> None:
            process = subprocess.Popen(
                command, env=environment, cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            stack.callback(process.wait, 10)
            stack.callback(process.terminate)

        start("Xvfb", DISPLAY, "-screen", "0", "1024x768x24", "-nolisten", "local", "-nolisten", "tcp")
        _until(lambda: Path(f"/tmp/.X11-unix/X{DISPLAY[1:]}").exists())
        start("xterm", "-geometry", "150x55+0+0", "-e", "sh")
        start(
            "freerdp-shadow-cli", "/port:3389", f"/bind-address:{address}", "/sec:nla",
            f"/sam-file:{directory / 'sam'}", "+auth",
        )  # fmt: skip
        _until(lambda: _listens(address))
        yield


def _listens(address: str) -> bool:
    with socket.socket() as knock:
        knock.settimeout(1)
        return knock.connect_ex((address, 3389)) == 0


def _until(condition, seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "the remote desktop did not start"
        time.sleep(0.05)
