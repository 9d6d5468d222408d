"""A private libvirtd with directories, processes and (on request) a network of its own.

`LabHost(base, "one")` is the machine the tests run on: it shares the cage's network, its directories are also
bound into the cage's own mount namespace, so that `qemu:///system` and the paths libvirt tells (console
sockets) mean the same to the test and to libvirtd. There can be one of these in a cage.

With an `address` the host is a machine elsewhere: own network namespace behind a bridge, reached by TCP or
TLS, with a power plug and a cable (`crash`, `cut`, `heal`). `lab.py` builds several of those.

Everything needs the cage (cage.py). The base directory's path must be short: it holds unix sockets.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

from tests.lab import boot, cage

_FILTERS = "/usr/share/libvirt/nwfilter"
START_TIMEOUT = 20.0  # seconds until libvirtd must answer

_LIBVIRTD_CONF = """\
auth_unix_rw = "none"
auth_unix_ro = "none"
unix_sock_rw_perms = "0700"
auth_tcp = "none"
listen_tcp = 1
listen_tls = {tls}
listen_addr = "0.0.0.0"
host_uuid = "{host_uuid}"
max_client_requests = 20
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""

_QEMU_CONF = """\
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
namespaces = [ ]
cgroup_controllers = [ ]
stdio_handler = "file"
default_tls_x509_cert_dir = "/etc/pki/qemu"
max_core = 0
"""


class LabHost:
    """One libvirt host. `start()` returns when it answers; a context manager does start and stop."""

    def __init__(self, base: Path, name: str, *, address: str = "", gateway: str = "", bridge: str = "") -> None:
        self.home, self.name, self.address, self.gateway, self.bridge = base / name, name, address, gateway, bridge
        self.hosts_file = "127.0.0.1 localhost\n"
        self._boot: subprocess.Popen[bytes] | None = None
        self._exposed: list[str] = []

    @property
    def socket(self) -> Path:
        """libvirtd's unix socket, reachable from outside the host too."""
        return self.home / "run" / "libvirt-sock"

    @property
    def uri(self) -> str:
        """Where libvirt connects to; works from the test process, whatever namespaces the host has."""
        return f"qemu+unix:///system?socket={self.socket}"

    @property
    def tcp_uri(self) -> str:
        """The same over plain TCP, for a host with an address."""
        return f"qemu+tcp://{self.address}/system"

    def __enter__(self) -> "LabHost":
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self, *, wait: bool = True) -> None:
        """Power on. Definitions and disks of earlier runs are still there, /run is empty."""
        if not cage.inside():
            raise RuntimeError("a laboratory host needs the cage: python -m tests.lab.cage -- …")
        self._write_files()
        private = ["--net", "--uts", "--ipc"] if self.address else []
        with (self.home / "boot.log").open("ab") as log:
            self._boot = subprocess.Popen(
                [*cage.PROCESSES, *private, sys.executable, boot.__file__, str(self.home)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if self.address:
            self._plug_in()
        else:
            self._expose()
        if wait:
            self.wait()

    def wait(self) -> None:
        """Return when libvirtd answers; RuntimeError with its log after START_TIMEOUT seconds."""
        deadline = time.monotonic() + START_TIMEOUT
        while not self._answers():
            if time.monotonic() > deadline or (self._boot and self._boot.poll() is not None):
                raise RuntimeError(f"{self.name} did not come up:\n{self.log()}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Power off at once: libvirtd, guests and helpers are killed together. Safe to call twice."""
        if self._boot is None:
            return
        os.kill(self.init_pid, signal.SIGKILL)
        self._boot.wait(10)
        self._boot = None
        for target in reversed(self._exposed):
            subprocess.run(["umount", "--lazy", target], check=False, capture_output=True)
        self._exposed.clear()
        if not self.address:
            self._remove_bridges()

    def crash(self) -> None:
        """Power cut without a sign on the wire: the cable goes first, so no connection is closed properly."""
        if self.address:
            subprocess.run(["ip", "link", "del", self._cable], check=False, capture_output=True)
        self.stop()

    def cut(self) -> None:
        """Pull the network cable."""
        subprocess.run(["ip", "link", "set", self._cable, "down"], check=True)

    def heal(self) -> None:
        """Put the network cable back."""
        subprocess.run(["ip", "link", "set", self._cable, "up"], check=True)

    @property
    def on(self) -> bool:
        """Whether the power is on."""
        return self._boot is not None

    def freeze(self) -> None:
        """Stop libvirtd from doing anything until `thaw`; its connections stay open."""
        os.kill(self.daemon_pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """End `freeze`."""
        if self.daemon_pid:
            os.kill(self.daemon_pid, signal.SIGCONT)

    def restart_daemon(self) -> None:
        """Kill libvirtd hard and start it again; guests live on."""
        before = self.daemon_pid
        os.kill(self.init_pid, signal.SIGUSR1)
        while self.daemon_pid in (0, before):
            time.sleep(0.01)
        self.wait()

    def stop_daemon(self) -> None:
        """Kill libvirtd hard and leave it dead until `restart_daemon`; guests live on."""
        os.kill(self.init_pid, signal.SIGUSR2)
        while self.daemon_pid:
            time.sleep(0.01)

    def log(self) -> str:
        """The last of what the host's first process and libvirtd wrote."""
        logs = [self.home / "boot.log", self.home / "log" / "libvirtd.log"]
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in logs if path.exists())

    @property
    def init_pid(self) -> int:
        """The host's process 1 as seen from here."""
        boot = self._boot  # another thread may cut the power meanwhile
        if boot is None:
            raise RuntimeError(f"{self.name} is off")
        deadline = time.monotonic() + 5
        while not (children := _children(boot.pid)):
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} did not come up:\n{self.log()}")
            time.sleep(0.002)
        return children[0]

    @property
    def daemon_pid(self) -> int:
        """libvirtd as seen from here, to freeze or kill it; 0 when there is none."""
        return next((pid for pid in _children(self.init_pid) if _comm(pid) == "libvirtd"), 0)

    def qemu_pid(self, machine: str) -> int:
        """The QEMU process of the machine with this UUID as seen from here; 0 when it does not run, or the host."""
        try:
            init = self.init_pid
        except RuntimeError:
            return 0
        for pid in _children(init):
            try:
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if b"-uuid" in words and words[words.index(b"-uuid") + 1] == machine.encode():
                return pid
        return 0

    def helper_pids(self, command: str) -> list[int]:
        """The processes called `command` that libvirtd runs at the moment."""
        return [pid for pid in _children(self.daemon_pid, threads=True) if _comm(pid) == command]

    @property
    def _cable(self) -> str:
        return f"v{self.bridge.removeprefix('labbr')}{self.name}"[:15]

    def _answers(self) -> bool:
        if not self.socket.exists():
            return False
        if self.address:
            try:
                socket.create_connection((self.address, 16509), 0.2).close()
            except OSError:
                return False
        # the socket is there before libvirtd read its configuration: only an answered call counts
        asked = ["virsh", "--connect", self.uri, "uri"]
        return subprocess.run(asked, capture_output=True, check=False, timeout=START_TIMEOUT).returncode == 0

    def _write_files(self) -> None:
        self._empty_run()
        for folder in (*boot.BINDS, "etc/qemu/networks", "lib/images", "pki/qemu"):
            (self.home / folder).mkdir(parents=True, exist_ok=True)
        # as its package has them, with which cards are held to their own addresses
        shutil.copytree(_FILTERS, self.home / "etc" / "nwfilter", dirs_exist_ok=True)
        host_uuid = uuid.uuid5(uuid.NAMESPACE_DNS, str(self.home))  # two hosts with one UUID refuse to migrate
        tls = int((self.home / "pki" / "libvirt" / "servercert.pem").exists())
        (self.home / "etc" / "libvirtd.conf").write_text(_LIBVIRTD_CONF.format(host_uuid=host_uuid, tls=tls))
        (self.home / "etc" / "qemu.conf").write_text(_QEMU_CONF)
        (self.home / "hosts").write_text(self.hosts_file)
        wish = {"name": self.name, "address": self.address, "gateway": self.gateway}
        (self.home / "host.json").write_text(json.dumps(wish))

    def _empty_run(self) -> None:
        """As after every start of a machine.

        The directory itself stays: hosts that came up meanwhile inherited it as /run/libvirt and mounted their own
        over it, and the kernel takes away what is mounted on a directory that is removed, in all namespaces.
        """
        run = self.home / "run"
        for path in run.iterdir() if run.exists() else ():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()

    def _expose(self) -> None:
        """Bind this host's directories into the cage's mount namespace as well."""
        for folder in ("run", "lib", "etc"):
            target = boot.BINDS[folder]
            if os.path.ismount(target):
                raise RuntimeError(f"{target} is taken: there can be one host without an address in a cage")
            boot.bind(self.home / folder, target)
            self._exposed.append(target)

    def _plug_in(self) -> None:
        """Give the host its network card, always with the same MAC so that neighbours know it after a crash."""
        octets = ":".join(f"{int(octet):02x}" for octet in self.address.split("."))
        peer = ["peer", "name", "eth0", "address", f"02:77:{octets}", "netns", str(self.init_pid)]
        subprocess.run(["ip", "link", "add", self._cable, "type", "veth", *peer], check=True)
        subprocess.run(["ip", "link", "set", self._cable, "master", self.bridge, "up"], check=True)

    @staticmethod
    def _remove_bridges() -> None:
        """libvirt's bridges live in the cage's network, which the power cut does not reach."""
        for path in Path("/sys/class/net").iterdir():
            if path.name.startswith("virbr"):
                subprocess.run(["ip", "link", "del", path.name], check=False, capture_output=True)


def _children(pid: int, *, threads: bool = False) -> list[int]:
    """The children of a process; with `threads`, also those that other threads of it started."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*" if threads else str(pid)):
        try:
            found += [int(word) for word in (task / "children").read_text().split()]
        except OSError:
            continue  # the thread ended while we looked
    return found


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
