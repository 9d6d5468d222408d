"""Start libvirtd where no init system did: in containers and rescue systems. Running machines outlive it."""

import logging
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

from django.conf import settings

from broker.core.errors import Unavailable
from broker.core.text import gettext_noop as N_
from broker.virt.drivers.libvirt.kvm import probe

log = logging.getLogger(__name__)
RUN = Path("/run/libvirt")
START_SECONDS = 15.0


class Libvirtd:
    """The daemons that were not there and that we therefore own."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def ensure(self) -> bool:
        """Have libvirtd answer on its socket; returns whether we started it. Raises Unavailable with the way out."""
        if _answers(RUN / "libvirt-sock"):
            return False
        if (
            _systemd()
            and subprocess.run(["systemctl", "start", "libvirtd"], check=False, capture_output=True).returncode == 0
        ):
            self._wait()
            return False
        RUN.mkdir(parents=True, exist_ok=True)
        if not _answers(RUN / "virtlogd-sock"):
            self._start("virtlogd")
        self._start("libvirtd")
        self._wait()
        return True

    def _start(self, name: str) -> None:
        program = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
        if program is None:
            raise Unavailable(
                N_("%(name)s is not installed."), fix=N_("Install it: apt-get install libvirt-daemon-system"), name=name
            )
        # Left by a daemon that was killed (nothing answers): ours would refuse to start beside it.
        (RUN / f"{name}.pid").unlink(missing_ok=True)
        logs = settings.DATA_DIR / "log"
        logs.mkdir(parents=True, exist_ok=True)
        command = [*_without_broken_kvm(), program, "-f", str(_config())] if name == "libvirtd" else [program]
        if reaper := shutil.which("tini"):
            # libvirtd waits until a QEMU that it ended is gone; where process 1 buries no orphans that takes forever.
            command = [reaper, "-s", "--", *command]
        with (logs / f"{name}.log").open("ab") as log_file:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log_file, stderr=log_file, start_new_session=True
            )
        self.started.append(child)

    def _wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(RUN / "libvirt-sock"):
            ended = [child for child in self.started if child.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise Unavailable(
                    N_("libvirtd does not start."),
                    fix=N_("Read %(log)s; it names the cause."),
                    log=settings.DATA_DIR / "log" / "libvirtd.log",
                )
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop what we started; the machines go on without it."""
        for child in reversed(self.started):
            child.terminate()
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
        self.started.clear()


def _without_broken_kvm() -> list[str]:
    """Hide a /dev/kvm on which guests hang: libvirtd would ask QEMU about it anew, for many seconds, at each question.

    With an empty read-only file in a mount namespace of its own; /dev/null there makes it ask as often.
    """
    if not Path("/dev/kvm").exists() or not probe():
        return []
    run = settings.DATA_DIR / "run"
    run.mkdir(parents=True, exist_ok=True)
    (run / "no-kvm").touch()
    system = Path("/etc/libvirt/qemu.conf")
    # libvirt cannot move our cover into the namespaces it makes for its guests.
    (run / "qemu.conf").write_text((system.read_text() if system.exists() else "") + "\nnamespaces = [ ]\n")
    hide = (
        'mount --bind "$0/no-kvm" /dev/kvm && mount -o remount,bind,ro /dev/kvm && '
        'mount --bind "$0/qemu.conf" /etc/libvirt/qemu.conf; exec "$@"'
    )
    return ["unshare", "--mount", "--propagation", "slave", "sh", "-c", hide, str(run)]


def _config() -> Path:
    """The system's libvirtd.conf with an identity; where no firmware gives one, libvirtd makes one up at each start."""
    system, own = Path("/etc/libvirt/libvirtd.conf"), settings.DATA_DIR / "libvirtd.conf"
    text = system.read_text() if system.exists() else ""
    if own.exists():
        return own
    if not any(line.strip().startswith("host_uuid") for line in text.splitlines()):
        text += f'\nhost_uuid = "{uuid.uuid4()}"\n'
    own.write_text(text)
    return own


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def _systemd() -> bool:
    return Path("/run/systemd/system").is_dir()
