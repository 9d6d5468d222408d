"""Live migration, peer to peer: libvirtd of the source drives it, so it outlives this process.

The call that begins it blocks until the end, in a thread of its own and with a connection that nobody waits for;
whoever comes later learns how it goes from the hosts.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import libvirt
from lxml import etree

from broker.core.text import gettext_noop
from broker.virt.driver import DriverError, MigrationOrder, MigrationResult, MigrationStats, Refused, not_running
from broker.virt.drivers import names
from broker.virt.drivers.libvirt import clipboard
from broker.virt.drivers.libvirt.connection import Link, open_connection
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from broker.virt.drivers.libvirt.domain_xml.mapping import MARK, NAMESPACE
from broker.virt.drivers.libvirt.errors import is_alive, translate

_LOOK_EVERY = 0.02  # seconds between two looks whether it has begun
_CONNECT_TIMEOUT = 5.0
_FLAGS = (
    libvirt.VIR_MIGRATE_LIVE
    | libvirt.VIR_MIGRATE_PEER2PEER
    | libvirt.VIR_MIGRATE_PERSIST_DEST
    | libvirt.VIR_MIGRATE_UNDEFINE_SOURCE
    | libvirt.VIR_MIGRATE_ABORT_ON_ERROR
)
_MEMORY_LOCK = re.compile(r"zero.?copy|memlock|lock(ed)? memory|memory lock", re.IGNORECASE)
_GONE = (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_OPERATION_INVALID)
_FULL = libvirt.VIR_DOMAIN_XML_MIGRATABLE | libvirt.VIR_DOMAIN_XML_SECURE
_POST_COPY = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_POSTCOPY]


@dataclass
class _Move:
    """The call under way in this process."""

    ended: threading.Event = field(default_factory=threading.Event)
    error: DriverError | None = None


class Moving(Link):
    """Machines that leave a host or came to it."""

    _moves: dict[str, _Move]

    def begin_migration(self, uuid: str, order: MigrationOrder, *, patience: float = 2.0) -> None:
        with self.calling():
            domain = self.domain(uuid)
            if _stats(domain) is not None:
                return
            if not domain.isActive():
                raise not_running(domain.name())
            keep_boot(domain)
            clipboard.unplug(domain)
            flags, parameters = _FLAGS | _flags(order), _parameters(domain, order)
        own = open_connection(self.uri, _CONNECT_TIMEOUT)
        move = self._moves[uuid] = _Move()
        threading.Thread(
            target=_carry, args=(own, uuid, order.uri, parameters, flags, move), name="libvirt-migrate", daemon=True
        ).start()
        self._until_it_goes(uuid, move, patience)
        if move.error:
            self._moves.pop(uuid, None)
            raise move.error

    def _until_it_goes(self, uuid: str, move: _Move, patience: float) -> None:
        """Its end within `patience`; else until the source shows it, so that whoever looks next finds it."""
        if move.ended.wait(patience):
            return
        while not move.ended.wait(_LOOK_EVERY):
            with self.calling(), _unless_ended():
                if _stats(self.domain(uuid)) is not None:
                    return

    def migration(self, uuid: str) -> MigrationStats | None:
        with self.calling():
            try:
                stats = _stats(self.domain(uuid))
            except libvirt.libvirtError as error:
                if error.get_error_code() not in _GONE:
                    raise
                stats = None
        if stats is None and (move := self._moves.get(uuid)) and move.ended.is_set():
            del self._moves[uuid]
            if move.error:
                raise move.error
        return stats

    def adjust_migration(self, uuid: str, *, downtime_ms: int = 0, bandwidth_mib: int = 0) -> None:
        with self.calling(), _unless_ended():
            domain = self.domain(uuid)
            if downtime_ms:
                domain.migrateSetMaxDowntime(downtime_ms, 0)
            if bandwidth_mib:
                domain.migrateSetMaxSpeed(bandwidth_mib, 0)

    def begin_post_copy(self, uuid: str) -> None:
        with self.calling(), _unless_ended():
            domain = self.domain(uuid)
            if domain.state() != _POST_COPY:
                domain.migrateStartPostCopy(0)

    def cancel_migration(self, uuid: str) -> None:
        with self.calling(), _unless_ended():
            domain = self.domain(uuid)
            if domain.state() == _POST_COPY:
                raise Refused(
                    gettext_noop("“%(name)s” runs on the other host already and fetches the rest of its memory."),
                    fix=gettext_noop("Wait until it has all of it."),
                    name=domain.name(),
                )
            if _stats(domain) is not None:
                domain.abortJob()

    def finish_migration(self, uuid: str) -> None:
        with self.calling():
            clipboard.plug(self.domain(uuid))

    def migrated(self, uuid: str) -> MigrationResult | None:
        flags = libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED | libvirt.VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED
        with self.calling():
            try:
                told = self.domain(uuid).jobStats(flags)
            except libvirt.libvirtError as error:
                if error.get_error_code() in _GONE:
                    return None
                raise
        if told.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN:
            return None
        return MigrationResult(elapsed_ms=told.get("time_elapsed", 0), downtime_ms=told.get("downtime", 0))


def _carry(
    own: libvirt.virConnect, uuid: str, uri: str, parameters: dict[str, object], flags: int, move: _Move
) -> None:
    try:
        _move(own.lookupByUUIDString(uuid), uri, parameters, flags)
    except libvirt.libvirtError as error:
        # Broken off on request it simply stays; whose request it was is not this driver's to know.
        if error.get_error_code() != libvirt.VIR_ERR_OPERATION_ABORTED:
            move.error = translate(error, alive=is_alive(own))
    finally:
        move.ended.set()
        try:
            own.close()
        except libvirt.libvirtError:
            pass  # it is gone already


def _move(domain: libvirt.virDomain, uri: str, parameters: dict[str, object], flags: int) -> None:
    """Without zero copy where the source may not lock so much memory: it says so before anything moves."""
    try:
        domain.migrateToURI3(uri, parameters, flags)
    except libvirt.libvirtError as error:
        if not flags & libvirt.VIR_MIGRATE_ZEROCOPY or not _MEMORY_LOCK.search(error.get_error_message() or ""):
            raise
        domain.migrateToURI3(uri, parameters, flags & ~libvirt.VIR_MIGRATE_ZEROCOPY)


def _flags(order: MigrationOrder) -> int:
    wanted = {
        libvirt.VIR_MIGRATE_TLS: order.encrypted,
        libvirt.VIR_MIGRATE_UNSAFE: order.seen_alike,
        libvirt.VIR_MIGRATE_PARALLEL: order.parallel > 1,
        libvirt.VIR_MIGRATE_ZEROCOPY: order.zero_copy,
        libvirt.VIR_MIGRATE_AUTO_CONVERGE: order.auto_converge,
        libvirt.VIR_MIGRATE_COMPRESSED: order.compressed,
        libvirt.VIR_MIGRATE_POSTCOPY: order.post_copy,
        libvirt.VIR_MIGRATE_NON_SHARED_DISK: bool(order.copies),
    }
    return sum(flag for flag, on in wanted.items() if on)


def _parameters(domain: libvirt.virDomain, order: MigrationOrder) -> dict[str, object]:
    # Said here: by itself the target names its own host name, which the source may not be able to resolve.
    host = urlsplit(order.uri).hostname or ""
    parameters: dict[str, object] = {libvirt.VIR_MIGRATE_PARAM_URI: f"tcp:[{host}]" if ":" in host else f"tcp:{host}"}
    if order.bandwidth_mib:
        parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH] = order.bandwidth_mib
        if order.post_copy:
            parameters[libvirt.VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY] = order.bandwidth_mib
    if order.parallel > 1:
        parameters[libvirt.VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS] = order.parallel
    if order.compressed:
        parameters[libvirt.VIR_MIGRATE_PARAM_COMPRESSION] = "xbzrle"
    if order.console_host:
        parameters[libvirt.VIR_MIGRATE_PARAM_GRAPHICS_URI] = f"spice://{order.console_host}"
    if order.copies:
        for copy in order.copies:
            names.check_path(copy.path)
        parameters[libvirt.VIR_MIGRATE_PARAM_MIGRATE_DISKS] = [copy.target for copy in order.copies]
        parameters[libvirt.VIR_MIGRATE_PARAM_DEST_XML] = _moved_disks(domain, order, _FULL)
        inactive = _FULL | libvirt.VIR_DOMAIN_XML_INACTIVE
        parameters[libvirt.VIR_MIGRATE_PARAM_PERSIST_XML] = _moved_disks(domain, order, inactive)
    return parameters


def _moved_disks(domain: libvirt.virDomain, order: MigrationOrder, flags: int) -> str:
    """The definition with the copied disks where they will lie; what was below them is copied into them."""
    machine, paths = Machine.parse(domain.XMLDesc(flags)), {copy.target: copy.path for copy in order.copies}
    for disk in machine.disks:
        if disk.target in paths:
            disk.path = paths[disk.target]
            for backing in disk.node.findall("backingStore"):
                disk.node.remove(backing)
    return machine.xml()


def _stats(domain: libvirt.virDomain) -> MigrationStats | None:
    told = domain.jobStats(0)
    if not told.get("type") or told.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT:
        return None
    return MigrationStats(
        total=told.get("data_total", 0),
        remaining=told.get("data_remaining", 0),
        sent=told.get("data_processed", 0),
        elapsed_ms=told.get("time_elapsed", 0),
        passes=told.get("memory_iteration", 0),
        dirty_per_second=told.get("memory_dirty_rate", 0) * told.get("memory_page_size", 4096),
        expected_downtime_ms=told.get("downtime", 0),
        throttle_percent=told.get("auto_converge_throttle", 0),
        post_copy=domain.state() == _POST_COPY,
    )


@contextmanager
def _unless_ended() -> Iterator[None]:
    """What comes too late for a migration is no error."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in _GONE:
            raise


def keep_boot(domain: libvirt.virDomain) -> None:
    """Write the name of the present run into the live definition, so that it stays the same on the other host."""
    machine = Machine.parse(domain.XMLDesc(0))
    if machine.mark is None or machine.boot:
        return
    _write_boot(domain, machine, machine.boot_id)


def drop_boot(domain: libvirt.virDomain) -> None:
    """Take that name out again: another run begins, from memory that was saved with it."""
    machine = Machine.parse(domain.XMLDesc(0))
    if machine.boot:
        _write_boot(domain, machine, None)


def _write_boot(domain: libvirt.virDomain, machine: Machine, boot: str | None) -> None:
    machine.boot = boot
    node = machine.node.find(f"metadata/{MARK}")
    # without our prefix: libvirt adds the namespace itself and refuses one that is there
    element = etree.Element("machine", dict(node.attrib))
    kind, scope = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_LIVE
    domain.setMetadata(kind, etree.tostring(element, encoding="unicode"), "berth", NAMESPACE, scope)
