"""Does KVM work on the host, or are its guests emulated in software?

/dev/kvm and libvirt's capabilities promise; nested and confined machines break the promise: the device opens
and guests hang. So, on this machine, a guest is run whose boot sector ends it: the firmware has to come up first,
which is where it hangs on such machines (the very first instructions run even there). The answer is kept for the
life of the process.
"""

import os
import subprocess
import tempfile
import threading
from pathlib import Path

from lxml import etree

from broker.core.text import gettext_noop
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER

PROBE_SECONDS = 3.0
_EXIT_PORT, _EXIT_VALUE = 0xF4, 0x10
_EXIT_STATUS = _EXIT_VALUE << 1 | 1  # QEMU's isa-debug-exit device makes (value << 1) | 1 of what is written
# mov al, value; out port, al; hlt; jmp to hlt: the first sector of a disk, with the mark that makes it bootable
_CODE = bytes([0xB0, _EXIT_VALUE, 0xE6, _EXIT_PORT, 0xF4, 0xEB, 0xFD])
_DISK = (_CODE.ljust(510, b"\0") + b"\x55\xaa").ljust(64 * 1024, b"\0")

NOT_OFFERED = gettext_noop("The host offers no KVM.")
NOT_WORKING = gettext_noop("/dev/kvm is there, but guests do not run on it.")

_lock = threading.Lock()
_probed: str | None = None


class Emulation(Link):
    """Whether guests of this host are emulated."""

    _emulation: tuple[bool, str] | None = None

    def emulation(self) -> tuple[bool, str]:
        """(emulated, why). Call inside `calling()`."""
        if self._emulation is None:
            reason = "" if _offered(self.connection.getCapabilities()) else NOT_OFFERED
            if not reason and self.local:
                reason = probe()
            self._emulation = bool(reason), reason
        return self._emulation


def _offered(capabilities: str) -> bool:
    """Whether libvirt's capabilities list KVM for x86_64."""
    tree = etree.fromstring(capabilities, PARSER)
    return tree.find("guest/arch[@name='x86_64']/domain[@type='kvm']") is not None


def probe() -> str:
    """Why KVM does not work on this machine, empty when it does or when we may not find out.

    Takes up to PROBE_SECONDS the first time.
    """
    global _probed
    with _lock:
        if _probed is None:
            _probed = _run_guest()
        return _probed


def _run_guest() -> str:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return ""  # libvirtd may although we may not: its word stands
    with tempfile.TemporaryDirectory(prefix="berth-kvm-") as folder:
        disk = Path(folder, "disk.raw")
        disk.write_bytes(_DISK)
        command = [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "pc,accel=kvm", "-m", "16",
            "-drive", f"file={disk},format=raw,if=ide", "-display", "none",
            "-device", f"isa-debug-exit,iobase={_EXIT_PORT},iosize=1",
        ]  # fmt: skip
        try:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return NOT_WORKING
        except FileNotFoundError:
            return ""  # QEMU is somewhere only libvirtd knows
    return "" if done.returncode == _EXIT_STATUS else NOT_WORKING
