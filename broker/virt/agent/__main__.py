"""`python -m broker.virt.agent [CONFIG]`: begin as the guard, with a keeper and consoles beside it.

With `--enrol` make this machine a host (enrol.py).
"""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

from .enrol import enrol, read_code
from .guard import Guard, Line
from .keeper import Keeper

USUAL = "/etc/berth/agent.json"
CONSOLES = "--consoles"


def start_keeper(path: Path) -> tuple[int, Line]:
    """A fork that keeps; the guard has one thread only, so nothing is torn."""
    ours, theirs = socket.socketpair()
    guard = os.getpid()
    child = os.fork()
    if not child:
        _keep(path, guard, ours, theirs)
    theirs.close()
    return child, Line(ours)


def _keep(path: Path, guard: int, ours: socket.socket, theirs: socket.socket) -> NoReturn:
    ours.close()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.closerange(3, theirs.fileno())
    os.closerange(theirs.fileno() + 1, 4096)
    try:
        Keeper(path, guard, Line(theirs)).run()
    except BaseException:
        os._exit(1)
    os.execv(sys.executable, sys.orig_argv)  # noqa: S606 -- the guard is gone: be the next one


def start_consoles(path: Path) -> Line:
    """A program of its own, which reads the line as its standard input."""
    ours, theirs = socket.socketpair()
    ourselves = sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    with theirs:
        subprocess.Popen([*ourselves, CONSOLES, str(path)], stdin=theirs.fileno())
    return Line(ours)


def main() -> None:
    if sys.argv[1:2] == [CONSOLES]:
        from .consoles import run  # what it needs is of no use to guard and keeper

        run(Path(sys.argv[2]), socket.socket(fileno=0))
        return
    if sys.argv[1:2] == ["--enrol"] and len(sys.argv) in (4, 5):
        try:
            config = enrol(sys.argv[2], sys.argv[3], read_code(), Path(sys.argv[4] if len(sys.argv) == 5 else USUAL))
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            sys.exit(f"not enrolled: {error}")
        print(f"enrolled as {config.host}")
        return
    path = Path(sys.argv[1] if len(sys.argv) > 1 else USUAL)
    Guard(path, start_keeper, start_consoles).run()


if __name__ == "__main__":
    main()
