"""A cage for tests that start hypervisors: `python -m tests.lab.cage -- COMMAND…`.

The command runs as root in mount, network, process, IPC and host name namespaces of its own. Whatever it
starts (libvirtd, QEMU, dnsmasq, databases) dies with it, also after kill -9 of the cage, and neither mounts
nor interfaces are left behind. Inside, only the loopback interface exists, so several cages side by side may
use the same ports and addresses. /dev/kvm is hidden unless LAB_KVM=1: on nested machines it may exist while
guests hang on it.

Standard library only, so that the cage also runs where nothing was installed yet.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INSIDE = "LAB_CAGE"
PROCESSES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")

_NEEDED = {
    "unshare": "util-linux",
    "mount": "mount",
    "ip": "iproute2",
    "libvirtd": "libvirt-daemon-system",
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "dnsmasq": "dnsmasq-base",
}


def quiet_network_cards() -> None:
    """Give the cards of machines no addresses of their own: each new one has Chromium drop what it is loading.

    That a page survives it is tested where it can be timed (tests/browser/test_console.py).
    """
    with contextlib.suppress(OSError):  # a kernel without IPv6
        Path("/proc/sys/net/ipv6/conf/default/disable_ipv6").write_text("1")


def inside() -> bool:
    """Whether this process runs in a cage."""
    return os.environ.get(INSIDE) == "1"


def why_not() -> str:
    """Why no laboratory can run here, in one line with the way out; empty when it can."""
    if sys.platform != "linux":
        return "lab: needs Linux"
    if os.geteuid() != 0:
        return "lab: needs root (sudo make test)"
    for tool, package in _NEEDED.items():
        if not shutil.which(tool, path=SEARCH_PATH):
            return f"lab: {tool} is missing (apt-get install {package})"
    if not Path("/dev/net/tun").exists():
        return "lab: /dev/net/tun is missing (modprobe tun, or give the container the device)"
    trial = subprocess.run(
        [*_unshare(), "ip", "link", "add", "lab0", "type", "bridge"], capture_output=True, text=True, check=False
    )
    if trial.returncode:
        return f"lab: no namespaces or bridges here ({trial.stderr.strip()}); a container needs --privileged"
    return ""


def command(argv: Sequence[str]) -> list[str]:
    """The command line that runs `argv` in a cage."""
    return [*_unshare(), sys.executable, "-m", "tests.lab.cage", "--inside", *argv]


def _unshare() -> list[str]:
    return [*PROCESSES, "--net", "--ipc", "--uts", "--propagation", "private"]


def _furnish() -> None:
    """Make the fresh namespaces usable."""
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    quiet_network_cards()
    if os.environ.get("LAB_KVM") != "1":
        hide_kvm()


def hide_kvm() -> None:
    """Cover /dev/kvm in this mount namespace.

    With an empty read-only file: libvirt would probe QEMU anew at every question about its capabilities if
    the cover were /dev/null.
    """
    if not Path("/dev/kvm").is_char_device():
        return  # there is none, or a cage around this one covered it
    with tempfile.NamedTemporaryFile(prefix="lab-nokvm-", delete=False) as cover:
        pass
    subprocess.run(["mount", "--bind", cover.name, "/dev/kvm"], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", "/dev/kvm"], check=True)
    Path(cover.name).unlink()


def supervise(argv: Sequence[str]) -> int:
    """Be process 1: run `argv`, adopt and bury every orphan, return the command's exit status."""
    child = subprocess.Popen(argv)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command as well
    signal.signal(signal.SIGTERM, lambda number, frame: child.terminate())
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["check"]:
            reason = why_not()
            print(reason or "ok")
            return 1 if reason else 0
        case ["--inside", *argv] if argv:
            os.environ[INSIDE] = "1"
            _furnish()
            return supervise(argv)
        case ["--", *argv] if argv:
            if reason := why_not():
                print(reason, file=sys.stderr)
                return 1
            os.environ["PATH"] = os.environ.get("PATH", "") + ":" + SEARCH_PATH
            full = command(argv)
            os.execvp(full[0], full)
    print("usage: python -m tests.lab.cage check | -- COMMAND…", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
