"""Disk images in directories, through libvirt's storage pools, so that it works on remote hosts too.

libvirt remembers what is in a pool and does not see files that came or went behind its back: before anything
is said to be missing or there already, the pool is read anew.

libvirt cannot rename a volume. A copy under way is therefore marked by an empty volume `<name>.part` beside
it; as long as the mark is there, the volume does not count.
"""

import hashlib
import threading
from collections.abc import Callable
from pathlib import PurePosixPath

import libvirt
from lxml import etree

from broker.core.text import gettext_noop
from broker.virt.driver import (
    NOTES,
    DiskSpec,
    HostUnreachable,
    NotFound,
    Refused,
    StorageInfo,
    StorageSpec,
    VolumeInfo,
)
from broker.virt.drivers import names
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER
from broker.virt.drivers.libvirt.looking import look_up, refresh, see
from broker.virt.drivers.libvirt.patience import Patience
from broker.virt.drivers.libvirt.pool_xml import mount_options, pool_xml, told_options
from broker.virt.drivers.libvirt.racing import despite_others

PART = ".part"
_PASSING = "berth-import-"  # pools for directories outside every storage, to copy from
_POLL = 0.2  # seconds between two looks at a copy


class Storing(Link):
    """The storage of a host."""

    patience: Patience

    def ensure_storage(self, spec: StorageSpec) -> StorageInfo:
        names.check(spec.name)
        names.check_path(spec.path)
        return self.patience.ask(spec.path, spec.name, lambda: self._ensure(spec))

    def _ensure(self, spec: StorageSpec) -> StorageInfo:
        with self.calling():
            return despite_others(lambda: self._have_pool(spec))

    def _have_pool(self, spec: StorageSpec) -> StorageInfo:
        pool = self._find_pool(spec)
        if pool is not None and spec.kind == "nfs" and told_options(pool.XMLDesc(0)) != mount_options(spec):
            pool = _let_go(pool)
        if pool is None:
            pool = self.connection.storagePoolDefineXML(pool_xml(spec))
        if not pool.isActive():
            pool.build(0)  # makes the directory
            pool.create()
        if pool.isPersistent() and not pool.autostart():  # what was made for a copy from there does for now
            pool.setAutostart(1)
        for name in pool.listVolumes()[:1]:
            look_up(pool, name, fresh=False)  # all that libvirt has said so far it knew by heart
        return _info(pool)

    def storage(self, spec: StorageSpec) -> StorageInfo:
        return self.patience.ask(spec.path, spec.name, lambda: self._measured(spec))

    def _measured(self, spec: StorageSpec) -> StorageInfo:
        with self.calling():
            pool = self._pool(spec)
            refresh(pool)  # the figures are those of the last look
            return _info(pool)

    def volumes(self, storage: StorageSpec) -> tuple[VolumeInfo, ...]:
        with self.calling():
            pool = self._pool(storage)
            refresh(pool)
            found = {volume.name(): volume for volume in pool.listAllVolumes()}
            whole = [
                name
                for name in found
                if name not in NOTES
                and not name.startswith(".")  # the folder of the hosts' leases
                and not name.endswith(PART)
                and name + PART not in found
            ]
            told = [info_if_there(found[name]) for name in sorted(whole)]
            return tuple(one for one in told if one is not None)

    def volume(self, storage: StorageSpec, name: str) -> VolumeInfo | None:
        names.check(name)
        with self.calling():
            pool = self._pool(storage)
            volume = look_up(pool, name)
            if volume is None or look_up(pool, name + PART, fresh=False) is not None:
                return None
            return volume_info(volume)

    def create_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        capacity: int = 0,
        backing: VolumeInfo | None = None,
        raw: bool = False,
    ) -> VolumeInfo:
        names.check(name)
        kind = "raw" if raw else "qcow2"
        capacity = capacity or (backing.capacity if backing else 0)
        with self.calling():
            pool = self._pool(storage)
            try:
                volume = pool.createXML(volume_xml(name, capacity=capacity, backing=backing, image_format=kind))
            except libvirt.libvirtError:
                # either there already (then the wish is granted if it is the same), or a real failure
                present = look_up(pool, name)
                if present is None:
                    raise
                return _same(volume_info(present), kind, capacity, backing)
            return volume_info(volume)

    def copy_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        source: VolumeInfo,
        progress: Callable[[float], None] = lambda share: None,
        raw: bool = False,
    ) -> VolumeInfo:
        names.check(name)
        wanted = volume_xml(name, capacity=source.capacity, image_format="raw" if raw else "qcow2")
        with self.calling():
            pool = self._pool(storage)
            if (done := self.volume(storage, name)) is not None:
                return done
            if (half := look_up(pool, name)) is not None:
                half.delete(0)  # Locked while libvirtd still writes it for somebody
            if look_up(pool, name + PART) is None:
                pool.createXML(volume_xml(name + PART, capacity=0, image_format="raw"))
            self._copy(pool, wanted, self._origin(source), source.allocation, progress)
            if (mark := look_up(pool, name + PART)) is not None:
                mark.delete(0)
            progress(1.0)
            return volume_info(pool.storageVolLookupByName(name))

    def delete_volume(self, storage: StorageSpec, name: str) -> None:
        names.check(name)
        with self.calling():
            pool = self._pool(storage)
            found = [look_up(pool, each) for each in (name, name + PART)]
            if found[0] is None and found[1] is not None:
                see(pool)  # what lies under a mark may be there unseen
                found[0] = look_up(pool, name)
            for volume in found:
                if volume is not None:
                    volume.delete(0)

    def located(self, disk: DiskSpec) -> DiskSpec:
        """The disk with all that its definition needs to say; of a file, its path is that."""
        return disk

    def _pool(self, spec: StorageSpec) -> libvirt.virStoragePool:
        """The running pool of `spec`. Raises NotFound before `ensure_storage`."""
        pool = self._find_pool(spec)
        if pool is None:
            raise NotFound(
                gettext_noop("The host has no storage “%(name)s” at %(path)s."),
                fix=gettext_noop("Attach the storage to the host."),
                name=spec.name,
                path=spec.path,
            )
        if not pool.isActive():
            pool.create()
        return pool

    def _find_pool(self, spec: StorageSpec) -> libvirt.virStoragePool | None:
        """By name; else by directory, since libvirt allows one pool a directory and it may be somebody's."""
        try:
            pool = self.connection.storagePoolLookupByName(spec.name)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
                raise
            pools = self.connection.listAllStoragePools()
            return next((pool for pool in pools if _directory(pool) == spec.path), None)
        directory = _directory(pool)
        if directory is None:
            return None
        if directory != spec.path:
            raise Refused(
                gettext_noop("The host has a storage “%(name)s” already, in another place."),
                fix=gettext_noop("Use another name, or remove that one."),
                name=spec.name,
            )
        return pool

    def _copy(
        self,
        pool: libvirt.virStoragePool,
        xml: str,
        origin: libvirt.virStorageVol,
        expected: int,
        progress: Callable[[float], None],
    ) -> None:
        """Copy in a thread of its own and tell how far it is by the space taken so far, of `expected` bytes or more."""
        failure: list[Exception] = []
        into, source = pool.name(), origin.path()

        def work() -> None:
            try:
                with self.lines.bound():
                    there = self.connection.storagePoolLookupByName(into)
                    there.createXMLFrom(xml, self.connection.storageVolLookupByPath(source), 0)
            except (libvirt.libvirtError, HostUnreachable) as error:
                failure.append(error)

        total = max(origin.info()[2], expected, 1)
        name = etree.fromstring(xml, PARSER).findtext("name")
        worker = threading.Thread(target=work, name="libvirt-copy", daemon=True)
        worker.start()
        try:
            while worker.is_alive():
                worker.join(_POLL)
                try:
                    taken = pool.storageVolLookupByName(name).info()[2]
                except libvirt.libvirtError:
                    continue  # not begun, or the last look came too late
                progress(min(taken / total, 0.99))
        finally:
            worker.join()  # libvirt cannot be told to stop, and the pools must stay until it has
        if failure:
            raise failure[0]

    def _origin(self, source: VolumeInfo) -> libvirt.virStorageVol:
        """The volume to copy from. A directory outside every storage gets a transient pool, gone with libvirtd."""
        names.check_path(source.path)
        try:
            return _alike(self.connection.storageVolLookupByPath(source.path), source)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
                raise
        path = PurePosixPath(source.path)
        pool = self._pool_of(str(path.parent))
        see(pool)
        return _alike(pool.storageVolLookupByName(path.name), source)

    def _pool_of(self, directory: str) -> libvirt.virStoragePool:
        """The running pool of a directory, made when it has none; several may ask for the same at once."""
        if (pool := self._running_pool(directory)) is not None:
            return pool
        digest = hashlib.sha256(directory.encode()).hexdigest()[:12]
        passing = StorageSpec(name=_PASSING + digest, kind="dir", path=directory)
        try:
            return self.connection.storagePoolCreateXML(pool_xml(passing))
        except libvirt.libvirtError:
            if (pool := self._running_pool(directory)) is not None:
                return pool
            raise

    def _running_pool(self, directory: str) -> libvirt.virStoragePool | None:
        for pool in self.connection.listAllStoragePools(libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_ACTIVE):
            try:
                if _directory(pool) == directory:
                    return pool
            except libvirt.libvirtError:
                continue  # it went while we looked
        return None


def volume_xml(name: str, *, capacity: int, backing: VolumeInfo | None = None, image_format: str = "qcow2") -> str:
    """The definition of a volume; formats are always said, never guessed by QEMU."""
    root = etree.Element("volume")
    etree.SubElement(root, "name").text = name
    etree.SubElement(root, "capacity", unit="bytes").text = str(capacity)
    etree.SubElement(root, "allocation", unit="bytes").text = "0"
    target = etree.SubElement(root, "target")
    etree.SubElement(target, "format", type=image_format)
    if image_format == "qcow2":
        # libvirt's own default cannot hold the notes of what changed since the last backup
        etree.SubElement(target, "compat").text = "1.1"
    etree.SubElement(etree.SubElement(target, "permissions"), "mode").text = "0600"
    if backing is not None:
        store = etree.SubElement(root, "backingStore")
        etree.SubElement(store, "path").text = names.check_path(backing.path)
        etree.SubElement(store, "format", type=backing.format)
    return str(etree.tostring(root, encoding="unicode"))


def _let_go(pool: libvirt.virStoragePool) -> libvirt.virStoragePool | None:
    """A share that is to be mounted otherwise, wanted while nothing runs from it; one that cannot be left stays."""
    try:
        if pool.isActive():
            pool.destroy()
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return pool
    pool.undefine()
    return None


def _alike(origin: libvirt.virStorageVol, source: VolumeInfo) -> libvirt.virStorageVol:
    """`origin`; refused when it should be raw and libvirt, which goes by the first bytes, sees something else."""
    if source.format == "raw" and source.backing == "":
        see(origin.storagePoolLookupByVolume())
        if volume_info(origin).format != "raw":
            raise Refused(
                gettext_noop("The first bytes of “%(name)s” make it look like another kind of image."),
                fix=gettext_noop("Attach it to a machine and look at it there; only its guest can have written that."),
                name=source.name,
            )
    return origin


def _same(present: VolumeInfo, kind: str, capacity: int, backing: VolumeInfo | None) -> VolumeInfo:
    """`present` if it is what was to be created, else raise Refused."""
    below = backing.path if backing else ""
    if (present.format, present.capacity, present.backing) == (kind, capacity, below):
        return present
    raise Refused(
        gettext_noop("There is another volume called “%(name)s” already."),
        fix=gettext_noop("Delete it, or use another name."),
        name=present.name,
    )


def _directory(pool: libvirt.virStoragePool) -> str | None:
    """Where it keeps its volumes; None for one that somebody let go since it was looked up."""
    try:
        return str(etree.fromstring(pool.XMLDesc(), PARSER).findtext("target/path", ""))
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
            raise
        return None


def _info(pool: libvirt.virStoragePool) -> StorageInfo:
    _, capacity, allocation, available = pool.info()
    return StorageInfo(capacity=capacity, allocation=allocation, available=available)


def info_if_there(volume: libvirt.virStorageVol) -> VolumeInfo | None:
    """None for one that was removed since it was listed."""
    try:
        return volume_info(volume)
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_VOL:
            raise
        return None


def volume_info(volume: libvirt.virStorageVol) -> VolumeInfo:
    tree = etree.fromstring(volume.XMLDesc(), PARSER)
    kind = tree.find("target/format")
    return VolumeInfo(
        name=tree.findtext("name", ""),
        path=tree.findtext("target/path", ""),
        format="raw" if kind is None else kind.get("type", "raw"),
        capacity=int(tree.findtext("capacity", "0")),
        allocation=int(tree.findtext("allocation", "0")),
        backing=tree.findtext("backingStore/path", ""),
    )
