"""Before anything is started: can this machine do it? Each no is one sentence and the way out."""

import errno
import os
import shutil
import socket
from pathlib import Path

from broker.core.errors import BerthError, Conflict, Denied, Unavailable
from broker.core.text import gettext_noop as N_

SPACE_NEEDED = 4 * 1024**3


class NoSpaceHere(BerthError):
    code = "no-space"


def check(listen: str, data_dir: Path, *, machines: bool = True, space: int = SPACE_NEEDED) -> None:
    """Raise the first thing that stands in the way. `machines`: a local hypervisor is wanted."""
    if machines and os.geteuid() != 0:
        raise Denied(
            N_("Running virtual machines on this computer needs root."), fix=N_("Start it with: sudo make run")
        )
    _check_data_dir(data_dir, space)
    if machines and not shutil.which("qemu-system-x86_64"):
        raise Unavailable(
            N_("QEMU is not installed, so no machine can run here."),
            fix=N_("Install it: apt-get install qemu-system-x86 (or run `make run`, which does)."),
        )
    _check_port(listen)


def _check_data_dir(data_dir: Path, space: int) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Denied(
            N_("%(path)s cannot be made: %(why)s."),
            fix=N_("Set BERTH_DATA_DIR to a directory that you may write to."),
            path=data_dir,
            why=error.strerror,
        ) from error
    if not os.access(data_dir, os.W_OK):
        raise Denied(
            N_("%(path)s cannot be written to."),
            fix=N_("Start with sudo, or set BERTH_DATA_DIR to a directory that you may write to."),
            path=data_dir,
        )
    free = shutil.disk_usage(data_dir).free
    if free < space:
        raise NoSpaceHere(
            N_("%(path)s has %(free).1f GiB free; %(need).1f GiB are needed."),
            fix=N_("Free some space, or set BERTH_DATA_DIR to a directory on a larger disk."),
            path=data_dir,
            free=free / 1024**3,
            need=space / 1024**3,
        )


def _check_port(listen: str) -> None:
    host, _, port = listen.rpartition(":")
    try:
        number = int(port)
        with socket.create_server((host.strip("[]"), number)):
            return
    except (ValueError, OverflowError):
        raise Conflict(
            N_("%(listen)s is not an address and a port."), fix=N_("Write it like 127.0.0.1:8000."), listen=listen
        ) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Conflict(
                N_("Port %(port)s is in use by another program (perhaps another Berth)."),
                fix=N_("Stop that program, or choose another port: make run LISTEN=%(host)s:%(other)s"),
                port=port,
                host=host,
                other=number + 1,
            ) from None
        raise Conflict(
            N_("Cannot listen on %(listen)s: %(why)s."),
            fix=N_("Choose an address of this computer and a port you may use: make run LISTEN=127.0.0.1:8000"),
            listen=listen,
            why=error.strerror,
        ) from None
