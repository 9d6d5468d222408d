"""Backups by QEMU's blockdev-backup, pushed into volumes made beforehand, with dirty bitmaps as checkpoints.

The target volumes are made by us with the right backing file, so that libvirt (which would put the live disk below
an incremental one) is told to reuse them. QEMU's bitmaps live in the disk images and survive a clean stop; after a
crash they are no longer trusted, libvirt says so, and a full backup starts them anew.
"""

import hashlib
import subprocess
from collections.abc import Callable, Mapping

import libvirt
from lxml import etree

from broker.core.text import gettext_noop
from broker.virt.driver import (
    BackupLook,
    DriverError,
    HostUnreachable,
    Locked,
    NoSpace,
    Refused,
    StorageSpec,
    Unsupported,
    no_volume,
    not_running,
)
from broker.virt.drivers import names
from broker.virt.drivers.libvirt import agent
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER
from broker.virt.drivers.libvirt.errors import family
from broker.virt.drivers.libvirt.looking import look_up
from broker.virt.drivers.libvirt.transfers import Transferring, ended

_PIECE = 1 << 20
COMPARE_SECONDS = 6 * 3600


class BackingUp(Transferring):
    """The backups of a host's machines."""

    def begin_backup(self, uuid: str, disks: Mapping[str, str], *, checkpoint: str, since: str = "") -> bool:
        for path in disks.values():
            names.check_path(path)
        names.check(checkpoint)
        with self.calling():
            domain = self.domain(uuid)
            if checkpoint in _names(domain) or _under_way(domain, disks):
                return False
            if not domain.isActive():
                raise not_running(domain.name())
            present = _targets(domain)
            held = _freeze(domain)
            try:
                _begin(domain, _backup_xml(present, disks, since), _checkpoint_xml(present, disks, checkpoint), since)
            finally:
                if held:
                    domain.fsThaw()
            return held

    def look_at_backup(self, uuid: str) -> BackupLook | None:
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive():
                return None
            now = domain.jobStats()
            if now.get("type") not in (None, libvirt.VIR_DOMAIN_JOB_NONE):
                return BackupLook(True, int(now.get("disk_processed", 0)), int(now.get("disk_total", 0)))
            last = domain.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED)
        if last.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
            return None
        error = "" if last.get("success") else str(last.get("errmsg") or "?")
        return BackupLook(False, int(last.get("disk_processed", 0)), int(last.get("disk_total", 0)), error)

    def stop_backup(self, uuid: str) -> None:
        with self.calling():
            domain = self.domain(uuid)
            try:
                domain.backupGetXMLDesc()
                domain.abortJob()
            except libvirt.libvirtError as error:
                if error.get_error_code() not in (libvirt.VIR_ERR_NO_DOMAIN_BACKUP, libvirt.VIR_ERR_OPERATION_INVALID):
                    raise

    def checkpoints(self, uuid: str) -> tuple[str, ...]:
        with self.calling():
            return _names(self.domain(uuid))

    def drop_checkpoint(self, uuid: str, name: str) -> None:
        with self.calling():
            domain = self.domain(uuid)
            if name in _names(domain):
                domain.checkpointLookupByName(name).delete(0)

    def forget_checkpoints(self, uuid: str, names: tuple[str, ...]) -> None:
        with self.calling():
            domain = self.domain(uuid)
            for name in [present for present in _names(domain) if present in names]:
                checkpoint = domain.checkpointLookupByName(name)
                try:
                    checkpoint.delete(0)
                except libvirt.libvirtError:
                    # The bitmap is gone or spoilt: what is left to remove is libvirt's note of it.
                    checkpoint.delete(libvirt.VIR_DOMAIN_CHECKPOINT_DELETE_METADATA_ONLY)

    def checksum(
        self, storage: StorageSpec, name: str, *, progress: Callable[[float], None] = lambda share: None
    ) -> tuple[str, int]:
        names.check(name)
        digest, length = hashlib.sha256(), 0
        with self.calling():
            volume = look_up(self._pool(storage), name)
            if volume is None:
                raise no_volume(name)
            total = max(volume.info()[2], 1)
            stream = self.connection.newStream(0)
            with ended(stream):
                volume.download(stream, 0, 0, 0)
                while piece := stream.recv(_PIECE):
                    digest.update(piece)
                    length += len(piece)
                    progress(min(length / total, 0.99))
                stream.finish()
        return digest.hexdigest(), length

    def same_contents(self, storage: StorageSpec, one: str, other: str) -> bool:
        if not self.local:
            raise Unsupported(
                gettext_noop("The disks of a host far away cannot be compared here."),
                fix=gettext_noop("Compare them on the host: qemu-img compare."),
            )
        paths = [f"{storage.path}/{names.check(name)}" for name in (one, other)]
        asked = ["qemu-img", "compare", "-q", "-f", "qcow2", "-F", "qcow2", *paths]
        try:
            done = subprocess.run(asked, capture_output=True, timeout=COMPARE_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _not_compared(error) from error
        if done.returncode > 1:
            raise _not_compared(done.stderr.decode(errors="replace").strip()[:300])
        return done.returncode == 0


def _begin(domain: libvirt.virDomain, backup: str, checkpoint: str, since: str) -> None:
    """A disk that is raw or of an old qcow2 version bears no notes: it gets a full backup without a checkpoint."""
    try:
        domain.backupBegin(backup, checkpoint, libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL)
    except libvirt.libvirtError as error:
        if family(error) in (HostUnreachable, Locked, NoSpace):
            raise
        if since:
            raise Refused(
                gettext_noop("What changed on “%(name)s” is not known any more: %(reason)s."),
                fix=gettext_noop("Make a full backup."),
                name=domain.name(),
                reason=(error.get_error_message() or str(error)).strip(),
            ) from error
        domain.backupBegin(backup, None, libvirt.VIR_DOMAIN_BACKUP_BEGIN_REUSE_EXTERNAL)


def _under_way(domain: libvirt.virDomain, disks: Mapping[str, str]) -> bool:
    """Whether a backup into these very volumes is being made."""
    try:
        tree = etree.fromstring(domain.backupGetXMLDesc(), PARSER)
    except libvirt.libvirtError:
        return False
    return {str(target.get("file")) for target in tree.findall("disks/disk/target")} == set(disks.values())


def _names(domain: libvirt.virDomain) -> tuple[str, ...]:
    flags = libvirt.VIR_DOMAIN_CHECKPOINT_LIST_TOPOLOGICAL
    return tuple(checkpoint.getName() for checkpoint in domain.listAllCheckpoints(flags))


def _targets(domain: libvirt.virDomain) -> list[str]:
    """Every device of the running machine that libvirt counts as a disk."""
    tree = etree.fromstring(domain.XMLDesc(), PARSER)
    return [str(target.get("dev")) for target in tree.findall("devices/disk/target")]


def _backup_xml(present: list[str], disks: Mapping[str, str], since: str) -> str:
    root = etree.Element("domainbackup", mode="push")
    if since:
        etree.SubElement(root, "incremental").text = since
    listed = etree.SubElement(root, "disks")
    for target in present:
        if target not in disks:
            etree.SubElement(listed, "disk", name=target, backup="no")
            continue
        disk = etree.SubElement(listed, "disk", name=target, backup="yes", type="file")
        etree.SubElement(disk, "target", file=disks[target])
        etree.SubElement(disk, "driver", type="qcow2")
    return str(etree.tostring(root, encoding="unicode"))


def _checkpoint_xml(present: list[str], disks: Mapping[str, str], name: str) -> str:
    root = etree.Element("domaincheckpoint")
    etree.SubElement(root, "name").text = name
    listed = etree.SubElement(root, "disks")
    for target in present:
        etree.SubElement(listed, "disk", name=target, checkpoint="bitmap" if target in disks else "no")
    return str(etree.tostring(root, encoding="unicode"))


def _freeze(domain: libvirt.virDomain) -> bool:
    """Have the guest write out what it holds and pause its writes; whether it did. Without an agent it cannot."""
    if not agent.connected(domain):
        return False
    try:
        domain.fsFreeze()
    except libvirt.libvirtError:
        return False
    return True


def _not_compared(reason: object) -> DriverError:
    return DriverError(
        gettext_noop("The disks could not be compared (%(reason)s)."),
        fix=gettext_noop("Check them on the host: qemu-img check."),
        reason=reason,
    )
