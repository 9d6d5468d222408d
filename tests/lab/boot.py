"""Process 1 of a laboratory host: `python boot.py DIRECTORY` inside fresh namespaces (see host.py).

Binds the host's own directories over the system's, starts libvirtd and adopts every orphan. SIGUSR1 kills
libvirtd and starts it again, SIGUSR2 kills it for good; guests live on. The end of this process is a power
cut. It is run as a plain file and needs nothing but the standard library.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

BINDS = {
    "etc": "/etc/libvirt",
    "run": "/run/libvirt",
    "lib": "/var/lib/libvirt",
    "log": "/var/log/libvirt",
    "cache": "/var/cache/libvirt",
    "pki": "/etc/pki",
}


def bind(source: Path, target: str) -> None:
    """Mount directory or file `source` over `target`, which is made where missing."""
    if source.is_dir():
        Path(target).mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--bind", str(source), target], check=True)


def wait_for_interface(name: str) -> None:
    """Wait until somebody put interface `name` into our network namespace."""
    deadline = time.monotonic() + 5
    while not Path("/sys/class/net", name).exists():
        if time.monotonic() > deadline:
            sys.exit(f"no interface {name} came")
        time.sleep(0.01)


def boot(home: Path) -> None:
    """Bring the namespaces into the shape that `home`/host.json asks for."""
    wish = json.loads((home / "host.json").read_text())
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for source, target in BINDS.items():
        bind(home / source, target)
    if not wish["address"]:
        return
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    subprocess.run(["hostname", wish["name"]], check=True)
    bind(home / "hosts", "/etc/hosts")
    wait_for_interface("eth0")
    for words in (
        ["link", "set", "lo", "up"],
        ["addr", "add", f"{wish['address']}/24", "dev", "eth0"],
        ["link", "set", "eth0", "up"],
        ["route", "add", "default", "via", wish["gateway"]],
    ):
        subprocess.run(["ip", *words], check=True)


def daemon(home: Path) -> subprocess.Popen[bytes]:
    """Start libvirtd; listening on TCP only when the host has an address of its own."""
    listen = ["--listen"] if json.loads((home / "host.json").read_text())["address"] else []
    return subprocess.Popen(["libvirtd", *listen, "--pid-file", "/run/libvirt/libvirtd.pid"])


def supervise(home: Path) -> None:
    """Keep libvirtd running as the signals ask; adopt and bury every orphan. Ends when it cannot start."""
    libvirtd: subprocess.Popen[bytes] | None = None
    wanted, failures = True, 0

    def on_signal(number: int, frame: object) -> None:
        nonlocal wanted, failures
        wanted, failures = number == signal.SIGUSR1, 0
        if libvirtd:
            libvirtd.kill()

    signal.signal(signal.SIGUSR1, on_signal)
    signal.signal(signal.SIGUSR2, on_signal)
    while failures < 3:
        if wanted and libvirtd is None:
            libvirtd, started = daemon(home), time.monotonic()
        try:
            pid = os.waitpid(-1, 0 if libvirtd else os.WNOHANG)[0]
        except ChildProcessError:
            pid = 0
        if libvirtd and pid == libvirtd.pid:
            libvirtd = None
            failures += time.monotonic() - started < 1
        elif not libvirtd:
            time.sleep(0.02)


if __name__ == "__main__":
    boot(Path(sys.argv[1]))
    supervise(Path(sys.argv[1]))
