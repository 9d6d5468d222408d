"""What a host needs beside libvirt's own word: looked at when the agent begins and every ten minutes after."""

import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

EVERY = 600.0
PORTS = {"tls": 16514, "consoles": 16516}  # who listens there may begin after us
FIRMWARE = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd")
QEMU = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm")
MOST_SKEW = 10.0
Found = tuple[str, bool, str]


def look(*, skew: float | None, watchdog: str) -> list[Found]:
    """(name, whether it is well, what was seen); the manager knows what each means and what helps."""
    version, devices = _said(*QEMU, words=("--version",)), _said(*QEMU, words=("-device", "help"))
    found = [
        ("qemu", _at_least(version, 7), _number(version)),
        ("spice", 'name "qxl"' in devices, ""),
        ("libvirt", _at_least(libvirt := _said("libvirtd", "virtqemud", words=("--version",)), 9), _number(libvirt)),
        ("firmware", any(Path(one).exists() for one in FIRMWARE), ""),
        ("tpm", shutil.which("swtpm") is not None, ""),
        *((name, _listens(port), "") for name, port in PORTS.items()),
        ("service", "INVOCATION_ID" in os.environ, ""),
        ("watchdog", bool(watchdog), watchdog),
    ]
    if skew is not None:
        found.append(("time", abs(skew) < MOST_SKEW, f"{skew:+.1f} s"))
    return found


class Checks:
    """The last look, taken anew when it is old. `skew`: how far this clock is ahead of the manager's."""

    def __init__(self) -> None:
        self.skew: float | None = None
        self._found: list[Found] = []
        self._until = 0.0

    def found(self, watchdog: str) -> list[Found]:
        if time.monotonic() > self._until:
            self._found = look(skew=self.skew, watchdog=watchdog)
            self._until = time.monotonic() + (EVERY if self.skew is not None else 1.0)
        else:
            self._found = [
                (name, well or (name in PORTS and _listens(PORTS[name])), seen) for name, well, seen in self._found
            ]
        return self._found


def _said(*programs: str, words: tuple[str, ...]) -> str:
    """What the first of the programs that is there says; "" when none does."""
    for program in programs:
        if (path := shutil.which(program)) is None:
            continue
        try:
            done = subprocess.run([path, *words], capture_output=True, text=True, check=False, timeout=20)
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout + done.stderr
    return ""


def _number(said: str) -> str:
    match = re.search(r"\d+(\.\d+)+", said)
    return match[0] if match else ""


def _at_least(said: str, major: int) -> bool:
    number = _number(said)
    return bool(number) and int(number.partition(".")[0]) >= major


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except OSError:
        return False
    return True
