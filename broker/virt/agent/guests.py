"""The guests of this host as libvirt notes them down in /run, and their end. Works without libvirtd."""

import os
import signal
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from . import lines
from .config import LUN_PATHS

WHO = "iqn.2026-01.io.berth:"  # before the names of a storage and a volume, as broker/virt/drivers/libvirt has it


@dataclass(frozen=True)
class Guest:
    """A machine of Berth's whose QEMU runs here. `screens`: kind → unix socket.

    `files`: what its disks lie in; of one on a LUN, the path that Berth calls it by, which whom QEMU tells the target
    that it is holds.
    """

    uuid: str
    name: str
    pid: int
    files: tuple[str, ...]
    screens: tuple[tuple[str, str], ...] = ()

    @property
    def alive(self) -> bool:
        """Whether this very QEMU is there: a number may be another process's by now."""
        try:
            return self.uuid.encode() in Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return False  # a zombie's command line is empty, and it runs nothing any more

    def on(self, directories: Iterable[str]) -> bool:
        """Whether a disk of it lies in one of the directories."""
        roots = [os.path.normpath(one) + "/" for one in directories]
        return any(os.path.normpath(file).startswith(root) for file in self.files for root in roots)


def running(folder: str) -> list[Guest]:
    """Berth's guests that run. A file that cannot be read is passed over: libvirt writes them while we look."""
    return [found for path in Path(folder).glob("*.xml") if (found := _read(path))]


def find(folder: str, uuid: str) -> Guest | None:
    """The one with this id, when it runs. Most files are not parsed for it."""
    for path in Path(folder).glob("*.xml"):
        try:
            if uuid.encode() not in path.read_bytes():
                continue
        except OSError:
            continue
        if (found := _read(path)) and found.uuid == uuid:
            return found
    return None


def _read(path: Path) -> Guest | None:
    """A guest of Berth's that runs, from libvirt's note of it."""
    try:
        status = ElementTree.parse(path).getroot()  # noqa: S314 -- libvirt's own file, which only root writes
    except (OSError, ElementTree.ParseError):
        return None
    domain, pid = status.find("domain"), status.get("pid", "0")
    if status.tag != "domstatus" or domain is None or not pid.isdigit() or int(pid) < 2:
        return None
    metadata = domain.find("metadata")
    if metadata is None or not any(child.tag.startswith("{urn:berth:machine:") for child in metadata):
        return None
    files = tuple(
        found_file
        for source in domain.iterfind("devices/disk//source")
        if (found_file := source.get("file") or source.get("dev") or _lun(source))
    )
    screens = tuple(
        (screen.get("type", ""), place)
        for screen in domain.iterfind("devices/graphics")
        for listen in screen.iterfind("listen[@type='socket']")
        if (place := listen.get("socket", ""))
    )
    guest = Guest(domain.findtext("uuid", ""), domain.findtext("name", ""), int(pid), files, screens)
    return guest if guest.uuid and guest.alive else None


def _lun(source: ElementTree.Element) -> str:
    who = source.find("initiator/iqn")
    storage, _, volume = ("" if who is None else who.get("name", "")).removeprefix(WHO).partition(":")
    return f"{LUN_PATHS}/{storage}/{volume}" if volume else ""


def kill(guest: Guest) -> None:
    """End its QEMU, however it is. Whether it is gone, `alive` says.

    What it told a target and is not sent yet goes with it: the kernel would keep that for minutes after its end, and a
    write might arrive when the machine runs elsewhere.
    """
    try:
        handle = os.pidfd_open(guest.pid)
    except ProcessLookupError:
        return
    try:
        if guest.alive:  # looked at with the handle in hand: the number cannot change hands any more
            if any(file.startswith(f"{LUN_PATHS}/") for file in guest.files):
                signal.pidfd_send_signal(handle, signal.SIGSTOP)  # so that it opens no line meanwhile
                lines.forget_unsent(handle, guest.pid)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(handle)
