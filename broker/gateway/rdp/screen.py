"""An RDP session as a VNC screen: Xtigervnc, and FreeRDP's client that fills its picture, in a box of their own.

Neither is part of Berth and both read what a desktop sends, so they see no file of this computer but programs, are a
user without rights in namespaces of their own (bubblewrap), and have one socket to the outside beside the network.
Without a browser they end after ten seconds; when one of the two ends the other does.

The password goes to the client's standard input and is in no file, argument or variable. The desktop's certificate is
believed when it is first seen and must stay the same as long as the desktop runs: see docs/consoles.md.
"""

import logging
import shutil
import subprocess
import tempfile
import threading
import time
from concurrent.futures import Future
from pathlib import Path

from broker.gateway.closing import OVERLOADED, UNREACHABLE
from broker.gateway.desk import Rdp, Refused

log = logging.getLogger(__name__)
PROGRAMS = ("bwrap", "Xtigervnc", "xfreerdp")
_SCRIPT = (Path(__file__).parent / "screen.sh").read_text()
_READY_SECONDS = 8.0
_POLL = 0.02
_THREAD = "rdp-screen"
_BOX = (
    "bwrap", "--unshare-user", "--uid", "65534", "--gid", "65534", "--unshare-pid", "--unshare-ipc", "--unshare-uts",
    "--unshare-cgroup-try", "--hostname", "berth", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
    "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib",
    "--symlink", "usr/lib64", "/lib64", "--ro-bind-try", "/etc/alternatives", "/etc/alternatives",
    "--ro-bind-try", "/etc/fonts", "/etc/fonts", "--ro-bind-try", "/etc/ssl/openssl.cnf", "/etc/ssl/openssl.cnf",
    "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--dir", "/tmp/.X11-unix", "--chdir", "/tmp",  # noqa: S108
    "--clearenv", "--setenv", "PATH", "/usr/bin", "--setenv", "DISPLAY", ":1", "--setenv", "HOME", "/trust",
)  # fmt: skip


def missing() -> list[str]:
    """Programs that are needed and not on this computer."""
    return [name for name in PROGRAMS if shutil.which(name, path="/usr/bin") is None]


def begin(rdp: Rdp, most: int) -> str:
    """Begin a session, one of `most`; returns the path of its VNC socket. Blocks until it is there. Raises Refused."""
    if missing():
        log.error("no remote desktop in the browser: %s missing; install bubblewrap, tigervnc-standalone-server and "
                  "freerdp2-x11", ", ".join(missing()))  # fmt: skip
        raise Refused(UNREACHABLE)
    began: Future[str] = Future()
    if sum(thread.name == _THREAD for thread in threading.enumerate()) >= most:
        raise Refused(OVERLOADED)
    # The box ends with the thread that began it, so that is one which stays.
    threading.Thread(target=_keep, args=(rdp, began), name=_THREAD, daemon=True).start()
    return began.result()


def _keep(rdp: Rdp, began: "Future[str]") -> None:
    folder = Path(tempfile.mkdtemp(prefix="berth-rdp-"))
    try:
        inside = ("sh", "-c", _SCRIPT, "screen", rdp.address, f"{rdp.width}x{rdp.height}", rdp.username, rdp.domain)
        box = (*_BOX, "--bind", str(folder), "/screen", "--bind", str(_trust(rdp)), "/trust")
        with subprocess.Popen(
            (*box, *inside), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            _hand_over(process, rdp.password)
            began.set_result(_when_ready(process, folder / "rfb"))
    except Exception as error:
        if not began.done():
            began.set_exception(error if isinstance(error, Refused) else Refused(UNREACHABLE))
        if not isinstance(error, Refused):
            log.exception("a remote desktop could not be opened")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _trust(rdp: Rdp) -> Path:
    """The folder in which the client keeps the certificate; those of the machine's former runs go."""
    base = Path(rdp.trust)
    mine = base / f"{rdp.machine}.{rdp.run}"
    for old in base.glob(f"{rdp.machine}.*"):
        if old != mine:
            shutil.rmtree(old, ignore_errors=True)
    mine.mkdir(mode=0o700, parents=True, exist_ok=True)
    return mine


def _hand_over(process: "subprocess.Popen[bytes]", password: str) -> None:
    assert process.stdin is not None
    try:
        process.stdin.write(password.encode() + b"\n")
        process.stdin.close()
    except OSError:
        pass  # it has ended already, which is seen next


def _when_ready(process: "subprocess.Popen[bytes]", socket: Path) -> str:
    until = time.monotonic() + _READY_SECONDS
    while process.poll() is None and time.monotonic() < until:
        if socket.exists():
            return str(socket)
        time.sleep(_POLL)
    process.kill()
    raise Refused(UNREACHABLE)
