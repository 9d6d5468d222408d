"""What is seen of machines from outside, past Berth: libvirt's word on each host and the process table, sampled.

`Watcher` looks ten times a second at a machine on all of a laboratory's hosts and keeps the most that ever ran at once.
A copy counts when its QEMU is in the process table and libvirt says that it runs: a move has a QEMU on both hosts for a
while, of which one stands still. While a libvirtd is dead or hangs, its host's copy is not counted.
"""

import contextlib
import threading
from collections.abc import Iterable

import libvirt

from tests.lab.host import LabHost

RUNNING = (libvirt.VIR_DOMAIN_RUNNING, libvirt.VIR_DOMAIN_NOSTATE)


class Watcher(threading.Thread):
    """`most`: how many copies of the machine ran at once; `samples`: how often was looked."""

    def __init__(self, machine: str, hosts: Iterable[LabHost]):
        super().__init__(daemon=True)
        self.machine, self.hosts = machine, list(hosts)
        self.most, self.samples, self.now = 0, 0, 0
        self._lines: dict[str, libvirt.virConnect] = {}
        self._stopping = threading.Event()

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self.join()
        for line in self._lines.values():
            with contextlib.suppress(libvirt.libvirtError):
                line.close()

    def run(self) -> None:
        while not self._stopping.wait(0.1):
            self.now = sum(self._runs_on(host) for host in self.hosts)
            self.most = max(self.most, self.now)
            self.samples += 1

    def _runs_on(self, host: LabHost) -> bool:
        if not host.on or not host.qemu_pid(self.machine):
            return False
        try:
            line = self._lines.get(host.name) or self._lines.setdefault(host.name, libvirt.open(host.uri))
            return line.lookupByUUIDString(self.machine).state()[0] in RUNNING
        except libvirt.libvirtError:
            self._lines.pop(host.name, None)
            return False


def defined_on(machine: str, hosts: Iterable[LabHost]) -> list[str]:
    """The hosts that know of the machine, by libvirt's own word."""
    found = []
    for host in hosts:
        with contextlib.closing(libvirt.open(host.uri)) as line:
            if machine in {domain.UUIDString() for domain in line.listAllDomains()}:
                found.append(host.name)
    return found
