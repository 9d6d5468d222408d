"""Disks copied by QEMU's mirror job into volumes made beforehand.

The job is transient: libvirt forgets it with the run of its machine, and then the copy is worth nothing.
"""

from typing import Literal

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import DiskSpec, Locked
from broker.virt.drivers import names
from broker.virt.drivers.libvirt.domain_xml.build import disk_element
from broker.virt.drivers.libvirt.domain_xml.devices import Disk
from broker.virt.drivers.libvirt.layers import Layering, live_disk


class Copying(Layering):
    """The copies of running disks."""

    def mirror_disk(self, uuid: str, target: str, path: str, *, bandwidth: int = 0, raw: bool = False) -> float:
        names.check_path(path)
        with self.calling():
            domain = self._up(uuid)
            disk = live_disk(domain, target)
            if disk.path == path:
                return 1.0
            job = domain.blockJobInfo(target, libvirt.VIR_DOMAIN_BLOCK_JOB_INFO_BANDWIDTH_BYTES)
            if not job:
                flags = libvirt.VIR_DOMAIN_BLOCK_COPY_REUSE_EXT | libvirt.VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
                kind: Literal["qcow2", "raw"] = "raw" if raw else "qcow2"
                copy = disk_element(self.located(DiskSpec(path=path, format=kind, target=target)))
                domain.blockCopy(target, copy.xml(), {"bandwidth": bandwidth} if bandwidth else {}, flags)
                return 0.0
            if disk.mirror_path != path:
                raise Locked(
                    gettext_noop("The host is still at an earlier job of “%(name)s”."),
                    fix=gettext_noop("Try again when the other work on it is done."),
                    name=domain.name(),
                )
            if job["bandwidth"] != bandwidth:
                domain.blockJobSetSpeed(target, bandwidth, libvirt.VIR_DOMAIN_BLOCK_JOB_SPEED_BANDWIDTH_BYTES)
            if disk.mirrored():
                return 1.0
            return min(job["cur"] / job["end"], 0.99) if job["end"] else 0.0

    def pivot_disk(self, uuid: str, target: str, path: str) -> bool:
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive():
                return False
            disk: Disk = live_disk(domain, target)
            if disk.path == path:
                return True
            if disk.mirror_path != path or not disk.mirrored():
                return False
            domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
            return live_disk(domain, target).path == path

    def stop_mirror(self, uuid: str, target: str) -> None:
        self.stop_merge(uuid, target)  # to libvirt both are the disk's one block job
