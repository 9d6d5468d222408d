"""Storages whose volumes are LUNs. The host gets a secret and a pool, through which it says whether it sees the target.

What belongs on the LUNs themselves is written by Berth (virt/iscsi). QEMU speaks to the target on its own, so the
host needs no kernel module. How to reach the target stands in the secret's description, so that a machine's definition
can be written from the volume's name alone.
"""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

import libvirt
from lxml import etree

from broker.core.text import gettext_noop
from broker.virt.driver import (
    LUN_PATHS,
    DiskSpec,
    LunPlace,
    MachineSpec,
    NotFound,
    StorageInfo,
    StorageSpec,
    Unsupported,
    VolumeInfo,
    no_volume,
)
from broker.virt.drivers import names
from broker.virt.drivers.libvirt.definitions import Defining
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER
from broker.virt.drivers.libvirt.notes import Noting
from broker.virt.drivers.libvirt.racing import RACED, despite_others
from broker.virt.drivers.libvirt.wiping import Wiping
from broker.virt.iscsi import store
from broker.virt.iscsi.session import INITIATOR, address

_PAUSES = (0.3, 0.6, 1.2, 2.4)  # seconds between attempts
_KIND = libvirt.VIR_SECRET_USAGE_TYPE_ISCSI


class Lunning(Defining, Noting, Wiping):
    """The storage of a host, where it is made of LUNs as well as where it is directories."""

    def ensure_storage(self, spec: StorageSpec) -> StorageInfo:
        if spec.kind != "iscsi":
            return super().ensure_storage(spec)
        names.check(spec.name)
        with store.opened(spec) as shelf:
            with self.calling():
                self._have_secret(spec)
                despite_others(lambda: self._have_target(spec, shelf.session.portal))
            store.claim(shelf)
            return store.info(shelf)

    def storage(self, spec: StorageSpec) -> StorageInfo:
        if spec.kind != "iscsi":
            return super().storage(spec)
        with self.calling():
            pool = self._find_pool(spec)
            if pool is None or not pool.isActive():
                raise _not_here(spec.name)
            _past_reservations(pool.refresh)  # the host's own word with the target
        with store.opened(spec) as shelf:
            return store.info(shelf)

    def volumes(self, storage: StorageSpec) -> tuple[VolumeInfo, ...]:
        if storage.kind != "iscsi":
            return super().volumes(storage)
        with store.opened(storage) as shelf:
            return store.listed(shelf, storage.name)

    def volume(self, storage: StorageSpec, name: str) -> VolumeInfo | None:
        if storage.kind != "iscsi":
            return super().volume(storage, name)
        names.check(name)
        return next((one for one in self.volumes(storage) if one.name == name), None)

    def create_volume(
        self,
        storage: StorageSpec,
        name: str,
        *,
        capacity: int = 0,
        backing: VolumeInfo | None = None,
        raw: bool = False,
    ) -> VolumeInfo:
        if storage.kind != "iscsi":
            return super().create_volume(storage, name, capacity=capacity, backing=backing, raw=raw)
        names.check(name)
        if raw or backing is not None:
            raise Unsupported(
                gettext_noop("An image on a LUN is qcow2 and lies on no other."),
                fix=gettext_noop("Make a copy, or choose another storage."),
            )
        with store.opened(storage) as shelf:
            store.create(shelf, name, capacity)
            return next(one for one in store.listed(shelf, storage.name) if one.name == name)

    def delete_volume(self, storage: StorageSpec, name: str) -> None:
        if storage.kind != "iscsi":
            super().delete_volume(storage, name)
            return
        names.check(name)
        with store.opened(storage) as shelf:
            store.delete(shelf, name)

    def wipe_volume(
        self, storage: StorageSpec, name: str, *, progress: Callable[[float], None] = lambda share: None
    ) -> None:
        if storage.kind != "iscsi":
            super().wipe_volume(storage, name, progress=progress)
            return
        names.check(name)
        with store.opened(storage) as shelf:
            store.wipe(shelf, name, progress)

    def read_notes(self, storage: StorageSpec) -> tuple[bytes, ...]:
        if storage.kind != "iscsi":
            return super().read_notes(storage)
        with store.opened(storage) as shelf:
            return store.read_notes(shelf)

    def write_note(self, storage: StorageSpec, slot: int, data: bytes) -> None:
        if storage.kind != "iscsi":
            super().write_note(storage, slot, data)
            return
        with store.opened(storage) as shelf:
            store.write_note(shelf, storage.name, slot, data)

    def release_storage(self, storage: StorageSpec) -> None:
        super().release_storage(storage)
        if storage.kind == "iscsi":
            with self.calling():
                if (secret := self._secret(storage.name)) is not None:
                    secret.undefine()

    # -- what a definition says of a LUN --------------------------------------------------------------------------

    def located(self, disk: DiskSpec) -> DiskSpec:
        """The disk with the place of its LUN, as this host reaches it; one that is a file stays as it is."""
        if not disk.path.startswith(f"{LUN_PATHS}/"):
            return disk
        pool, _, volume = disk.path.removeprefix(f"{LUN_PATHS}/").partition("/")
        with self.calling():
            spec = self.told(pool)
        with store.opened(spec) as shelf:
            entry = shelf.table().find(volume)
            if entry is None or not entry.whole:
                raise no_volume(volume)
            host, port = address(shelf.session.portal)
        place = LunPlace(host, port, spec.export, entry.lun, spec.user, spec.name if spec.user else "")
        return replace(disk, lun=place)

    def define(self, spec: MachineSpec) -> None:
        super().define(replace(spec, disks=tuple(self.located(disk) for disk in spec.disks)))

    # -- what the host keeps --------------------------------------------------------------------------------------

    def _find_pool(self, spec: StorageSpec) -> libvirt.virStoragePool | None:
        if spec.kind != "iscsi":
            return super()._find_pool(spec)
        try:
            return self.connection.storagePoolLookupByName(spec.name)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_STORAGE_POOL:
                raise
            return None

    def told(self, name: str) -> StorageSpec:
        """The storage as the host's secret describes it."""
        secret = self._secret(name)
        if secret is None:
            raise _not_here(name)
        told = json.loads(etree.fromstring(secret.XMLDesc(0), PARSER).findtext("description", "{}"))
        password = secret.value().decode() if told["user"] else ""
        return StorageSpec(
            name=name, kind="iscsi", path=f"{LUN_PATHS}/{name}", server=told["server"], export=told["export"],
            luns=tuple(told["luns"]), user=told["user"], password=password,
        )  # fmt: skip

    def _secret(self, name: str) -> libvirt.virSecret | None:
        try:
            return self.connection.secretLookupByUsage(_KIND, name)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_NO_SECRET:
                raise
            return None

    def _have_secret(self, spec: StorageSpec) -> None:
        secret = self._secret(spec.name)
        root = etree.Element("secret", ephemeral="no", private="no")
        etree.SubElement(root, "uuid").text = secret.UUIDString() if secret is not None else _own_uuid(spec)
        told = {"server": spec.server, "export": spec.export, "luns": spec.luns, "user": spec.user}
        etree.SubElement(root, "description").text = json.dumps(told)
        etree.SubElement(etree.SubElement(root, "usage", type="iscsi"), "target").text = spec.name
        secret = self.connection.secretDefineXML(etree.tostring(root, encoding="unicode"), 0)
        if spec.user:
            secret.setValue(spec.password.encode(), 0)

    def _have_target(self, spec: StorageSpec, answers: str) -> None:
        """A running pool over the first portal that this host reaches; `answers` answers us, and libvirt waits long."""
        pool = self._find_pool(spec)
        if pool is not None and pool.isActive():
            _past_reservations(pool.refresh)
            return
        own = _own_uuid(spec) if pool is None else pool.UUIDString()  # left by an attempt that was cut short
        failure: libvirt.libvirtError | None = None
        for portal in sorted(spec.server.split(","), key=lambda one: one != answers):
            pool = None
            try:
                pool = self.connection.storagePoolDefineXML(target_xml(spec, portal, own))
                _past_reservations(pool.create)
                pool.setAutostart(1)
                return
            except libvirt.libvirtError as error:
                if error.get_error_code() in RACED:
                    raise
                failure = failure or error
                if pool is not None:
                    _forget(pool)
        assert failure is not None, "a target has a portal"
        raise failure


def _own_uuid(spec: StorageSpec) -> str:
    """The same for everybody who asks, so that two who define it at once define the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"berth-iscsi/{spec.name}"))


def _forget(pool: libvirt.virStoragePool) -> None:
    """Undefine what could not be started, unless somebody was quicker."""
    try:
        pool.undefine()
    except libvirt.libvirtError as error:
        if error.get_error_code() not in RACED:
            raise


def _past_reservations(look: Callable[[], object]) -> None:
    """Start a pool or read it anew. Another host of ours reserves a LUN while it writes its table, never for long."""
    for pause in _PAUSES:
        try:
            look()
            return
        except libvirt.libvirtError as error:
            if "RESERVATION" not in str(error).upper():
                raise
        time.sleep(pause)
    look()


def target_xml(spec: StorageSpec, portal: str, own: str = "") -> str:
    """The definition of a pool of LUNs that libvirt speaks to without the kernel; `own`: its UUID."""
    root = etree.Element("pool", type="iscsi-direct")
    etree.SubElement(root, "name").text = spec.name
    if own:
        etree.SubElement(root, "uuid").text = own
    source = etree.SubElement(root, "source")
    host, port = address(portal)
    etree.SubElement(source, "host", name=host, port=str(port))
    etree.SubElement(source, "device", path=spec.export)
    if spec.user:
        login = etree.SubElement(source, "auth", type="chap", username=spec.user)
        etree.SubElement(login, "secret", usage=spec.name)
    etree.SubElement(etree.SubElement(source, "initiator"), "iqn", name=INITIATOR)
    return str(etree.tostring(root, encoding="unicode"))


def _not_here(name: str) -> NotFound:
    return NotFound(
        gettext_noop("The host has no storage “%(name)s” at %(path)s."),
        fix=gettext_noop("Attach the storage to the host."), name=name, path=f"{LUN_PATHS}/{name}",
    )  # fmt: skip
