"""Disks of machines that exist: plugged in and out, grown, frozen under a snapshot, merged, laid in place of others.

libvirt keeps no snapshot of ours (NO_METADATA): what belongs together is known to Berth, and a machine can be
removed without libvirt remembering anything of it. Images are named with their format; nothing is guessed.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict

import libvirt
import libvirt_qemu
from lxml import etree

from broker.core.text import gettext_noop
from broker.virt.driver import (
    LUN_PATHS,
    DiskLimits,
    DiskSpec,
    Locked,
    NotFound,
    Refused,
    StorageSpec,
    no_volume,
    not_running,
)
from broker.virt.drivers import names
from broker.virt.drivers.libvirt import agent, clipboard
from broker.virt.drivers.libvirt.disks import Storing, volume_info
from broker.virt.drivers.libvirt.domain_xml.build import disk_element
from broker.virt.drivers.libvirt.domain_xml.devices import Disk
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from broker.virt.drivers.libvirt.looking import look_up, see

_ALMOST = 0.99
_DEEPEST = 64  # images below each other, before we take it for a ring


class Layering(Storing):
    """The disks of a host's machines."""

    def attach_disk(self, uuid: str, disk: DiskSpec) -> None:
        names.check_path(disk.path)
        with self.calling():
            domain = self._up(uuid)
            if disk.target not in _live_disks(domain):
                domain.attachDeviceFlags(disk_element(self.located(disk)).xml(), libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def detach_disk(self, uuid: str, target: str) -> bool:
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive() or (disk := _live_disks(domain).get(target)) is None:
                return True
            try:
                domain.detachDeviceFlags(disk.xml(), libvirt.VIR_DOMAIN_AFFECT_LIVE)
            except libvirt.libvirtError as error:
                # asked for already, and the guest takes its time; or it went between the look and the call
                if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_DEVICE_MISSING):
                    raise
            return target not in _live_disks(domain)

    def grow_disk(self, uuid: str, target: str, storage: StorageSpec, name: str, size: int) -> None:
        names.check(name)
        with self.calling():
            domain = self.domain(uuid)
            if domain.isActive():
                if domain.blockInfo(target)[0] < size:
                    domain.blockResize(target, size, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
                return
            pool = self._pool(storage)
            see(pool)
            volume = look_up(pool, name)
            if volume is None:
                raise no_volume(name)
            _require_raw_as_told(domain, target, volume)
            if volume.info()[1] < size:
                volume.resize(size)

    def limit_disk(self, uuid: str, target: str, limits: DiskLimits) -> None:
        with self.calling():
            domain = self.domain(uuid)
            if domain.isActive() and target in _live_disks(domain):
                wanted = {f"{name}_sec": value for name, value in asdict(limits).items()}
                domain.setBlockIoTune(target, wanted, libvirt.VIR_DOMAIN_AFFECT_LIVE)

    def chain(self, uuid: str, target: str) -> tuple[str, ...]:
        with self.calling():
            domain = self.domain(uuid)
            if domain.isActive():
                return live_disk(domain, target).layers()
            machine = Machine.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
            path = next((disk.path for disk in machine.disks if disk.target == target), None)
            found: list[str] = []
            while path and len(found) < _DEEPEST:
                found.append(path)
                path = self._below(path)
            return tuple(found)

    def _below(self, path: str) -> str:
        folder, _, name = path.rpartition("/")
        if path.startswith(f"{LUN_PATHS}/"):
            return ""  # an image on a LUN lies on nothing
        pool = self._pool_of(folder)
        see(pool)
        volume = look_up(pool, name, fresh=False)
        return "" if volume is None else volume_info(volume).backing

    def freeze_disks(self, uuid: str, overlays: Mapping[str, str], *, memory: str = "", quiesce: bool = False) -> None:
        for path in (*overlays.values(), *filter(None, (memory,))):
            names.check_path(path)
        with self.calling():
            domain = self._up(uuid)
            disks = _live_disks(domain)
            if all(target in disks and disks[target].path == path for target, path in overlays.items()):
                return
            if not self._clear(domain, (*overlays.values(), *filter(None, (memory,))), disks):
                return
            flags = libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_NO_METADATA | libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_ATOMIC
            flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_LIVE if memory else libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_DISK_ONLY
            if quiesce:
                agent.require(domain)
                flags |= libvirt.VIR_DOMAIN_SNAPSHOT_CREATE_QUIESCE
            if not memory:
                domain.snapshotCreateXML(_snapshot_xml(overlays, set(disks), ""), flags)
                return
            clipboard.unplug(domain)  # QEMU cannot save a machine that has it
            try:
                domain.snapshotCreateXML(_snapshot_xml(overlays, set(disks), memory), flags)
            finally:
                clipboard.plug(domain)

    def _clear(self, domain: libvirt.virDomain, paths: tuple[str, ...], disks: dict[str | None, Disk]) -> bool:
        """Remove what an attempt left, unless libvirtd is still at it: then these files are being put in place.

        False when QEMU writes to them already: a libvirtd that was killed just then knows nothing of it.
        """
        if domain.jobInfo()[0] != libvirt.VIR_DOMAIN_JOB_NONE:
            raise Locked(
                gettext_noop("The host is still at an earlier job of “%(name)s”."),
                fix=gettext_noop("Try again when the other work on it is done."),
                name=domain.name(),
            )
        used = {path for disk in disks.values() for path in disk.layers()}
        left = []
        for path in paths:
            folder, _, name = path.rpartition("/")
            if path not in used and (volume := look_up(self._pool_of(folder), name)) is not None:
                left.append((path, volume))
        if left and any(path in file for path, _ in left for file in _written(domain)):
            return False
        for _, volume in left:
            volume.delete(0)
        return True

    def merge_layer(self, uuid: str, target: str, *, top: str, base: str) -> float:
        with self.calling():
            domain = self._up(uuid)
            disk = live_disk(domain, target)
            layers = disk.layers()
            if top not in layers:
                return 1.0
            active = layers[0] == top
            job = domain.blockJobInfo(target, 0)
            if not job:
                flags = libvirt.VIR_DOMAIN_BLOCK_COMMIT_ACTIVE if active else 0
                domain.blockCommit(target, base, top, 0, flags)
                return 0.0
            if active and disk.mirrored():
                domain.blockJobAbort(target, libvirt.VIR_DOMAIN_BLOCK_JOB_ABORT_PIVOT)
                return 1.0 if top not in live_disk(domain, target).layers() else _ALMOST
            return min(job["cur"] / job["end"], _ALMOST) if job["end"] else 0.0

    def stop_merge(self, uuid: str, target: str) -> None:
        try:
            with self.calling():
                domain = self.domain(uuid)
                if domain.isActive() and domain.blockJobInfo(target, 0):
                    domain.blockJobAbort(target, 0)
        except NotFound:
            return  # nor is there a merge

    def hold(self, uuid: str) -> None:
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive():
                domain.createWithFlags(libvirt.VIR_DOMAIN_START_PAUSED)

    def wake_from(self, uuid: str, memory: str, disks: Mapping[str, str]) -> None:
        for path in (memory, *disks.values()):
            names.check_path(path)
        with self.calling():
            if self.domain(uuid).isActive():
                return
            machine = Machine.parse(
                self.connection.saveImageGetXMLDesc(memory, libvirt.VIR_DOMAIN_SAVE_IMAGE_XML_SECURE)
            )
            for disk in machine.disks:
                if (image := disks.get(disk.target or "")) is not None:
                    disk.lay(image)
            self.connection.restoreFlags(memory, machine.xml(), libvirt.VIR_DOMAIN_SAVE_RUNNING)
            clipboard.plug(self.domain(uuid))

    def _up(self, uuid: str) -> libvirt.virDomain:
        domain = self.domain(uuid)
        if not domain.isActive():
            raise not_running(domain.name())
        return domain


def _require_raw_as_told(domain: libvirt.virDomain, target: str, volume: libvirt.virStorageVol) -> None:
    """libvirt goes by the first bytes, which a guest writes into a raw image: as another kind it is not touched."""
    machine = Machine.parse(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    raw = any(disk.target == target and disk.format == "raw" for disk in machine.disks)
    if raw and volume_info(volume).format != "raw":
        raise Refused(
            gettext_noop("The first bytes of “%(name)s” make it look like another kind of image."),
            fix=gettext_noop("Grow it while its machine runs."), name=volume.name(),
        )  # fmt: skip


def _written(domain: libvirt.virDomain) -> list[str]:
    """The files that QEMU itself says its disks are."""
    told = json.loads(libvirt_qemu.qemuMonitorCommand(domain, '{"execute":"query-block"}', 0))
    return [one["inserted"]["file"] for one in told["return"] if "inserted" in one]


def _live_disks(domain: libvirt.virDomain) -> dict[str | None, Disk]:
    return {disk.target: disk for disk in Machine.parse(domain.XMLDesc()).disks}


def live_disk(domain: libvirt.virDomain, target: str) -> Disk:
    disk = _live_disks(domain).get(target)
    if disk is None:
        raise no_volume(target)
    return disk


def _snapshot_xml(overlays: Mapping[str, str], present: set[str | None], memory: str) -> str:
    root = etree.Element("domainsnapshot")
    if memory:
        etree.SubElement(root, "memory", snapshot="external", file=memory)
    else:
        etree.SubElement(root, "memory", snapshot="no")
    disks = etree.SubElement(root, "disks")
    for target in sorted(filter(None, present)):
        if target not in overlays:
            etree.SubElement(disks, "disk", name=target, snapshot="no")
            continue
        disk = etree.SubElement(disks, "disk", name=target, snapshot="external", type="file")
        etree.SubElement(disk, "driver", type="qcow2")
        etree.SubElement(disk, "source", file=overlays[target])
    return str(etree.tostring(root, encoding="unicode"))
