"""What a host and its machines look like now: one bulk call for everything that changes, caches for the rest."""

import hashlib
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import libvirt
from lxml import etree

from broker.core import clock
from broker.virt.driver import (
    IO_ERROR,
    NO_SPACE,
    UNTOLD,
    ConsoleEndpoint,
    Counters,
    HostFacts,
    HostNode,
    HostUnreachable,
    HugePages,
    Observation,
    PowerState,
)
from broker.virt.drivers.libvirt.aside import Aside
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER
from broker.virt.drivers.libvirt.domain_xml.screen import parts_of
from broker.virt.drivers.libvirt.kvm import Emulation

Stats = dict[str, int]

COUNTERS_TIMEOUT = 2.0  # seconds
MOST_STUCK = 3  # of the five calls that libvirtd serves a connection at once

_RUNNING = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_RUNNING | libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_PAUSED
_STATE = libvirt.VIR_DOMAIN_STATS_STATE  # the only group that QEMU is not asked for
_COUNTERS = (
    libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_CPU_TOTAL
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
# a machine whose monitor is held by a long operation is told with what is known without asking it
_NO_WAIT = libvirt.VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT

_POWER = {
    libvirt.VIR_DOMAIN_NOSTATE: PowerState.UNKNOWN,
    libvirt.VIR_DOMAIN_RUNNING: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: PowerState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: PowerState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: PowerState.RUNNING,  # on its way down, QEMU is still there
    libvirt.VIR_DOMAIN_SHUTOFF: PowerState.OFF,
    libvirt.VIR_DOMAIN_CRASHED: PowerState.CRASHED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: PowerState.PAUSED,
}
_REASON_PREFIXES = {
    libvirt.VIR_DOMAIN_RUNNING: "VIR_DOMAIN_RUNNING_",
    libvirt.VIR_DOMAIN_PAUSED: "VIR_DOMAIN_PAUSED_",
    libvirt.VIR_DOMAIN_SHUTOFF: "VIR_DOMAIN_SHUTOFF_",
    libvirt.VIR_DOMAIN_CRASHED: "VIR_DOMAIN_CRASHED_",
}
_NOSTATE, _SHUTOFF = libvirt.VIR_DOMAIN_NOSTATE, libvirt.VIR_DOMAIN_SHUTOFF
_CONDITIONS = {
    (state, getattr(libvirt, name)): (_POWER[state], name.removeprefix(prefix).lower())
    for state, prefix in _REASON_PREFIXES.items()
    for name in dir(libvirt)
    if name.startswith(prefix)
} | {
    # QEMU is being set up; it may still fail, and nobody can use it yet
    (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP): (PowerState.OFF, "starting_up"),
    (libvirt.VIR_DOMAIN_SHUTOFF, libvirt.VIR_DOMAIN_SHUTOFF_CRASHED): (PowerState.CRASHED, "crashed"),
}
"""What a state and its reason mean."""


@dataclass(frozen=True, slots=True)
class _Definition:
    """What is read out of a persistent definition, kept until its text changes."""

    text_hash: int
    name: str
    digest: str
    mark: str
    memory: int
    vcpus: int


@dataclass(frozen=True, slots=True)
class _Run:
    """What is read out of the live definition, which stays the same as long as the machine runs."""

    domain_id: int
    boot_id: str
    consoles: tuple[ConsoleEndpoint, ...]


class Observing(Emulation, Link):
    """The eyes on a host.

    State and definitions come from libvirtd itself and at once. Counters are asked of each QEMU process, and
    one that hangs would hold the answer for all for ever: they are fetched aside and waited for shortly.
    """

    _definitions: dict[str, _Definition]
    _runs: dict[str, _Run]
    _stuck: threading.Semaphore

    def facts(self) -> HostFacts:
        with self.calling():
            connection = self.connection
            model, memory_mib, cpus, *_ = connection.getInfo()
            capabilities = etree.fromstring(connection.getCapabilities(), PARSER)
            emulated, reason = self.emulation()
            return HostFacts(
                uuid=capabilities.findtext("host/uuid", ""),
                hostname=connection.getHostname(),
                hypervisor=f"QEMU {_version(connection.getVersion())}",
                manager=f"libvirt {_version(connection.getLibVersion())}",
                cpus=cpus,
                cpu_model=capabilities.findtext("host/cpu/model", "") or model,
                memory=memory_mib << 20,
                memory_free=connection.getFreeMemory(),
                emulated=emulated,
                emulated_reason=reason,
                graphics=self._graphics(emulated),
                cpu_models=self._cpu_models(emulated),
                nodes=self._nodes(capabilities),
                ticked_seconds=self._ticked(),
            )

    def _nodes(self, capabilities: etree._Element) -> tuple[HostNode, ...]:
        """https://libvirt.org/formatcaps.html. What is offline is in no cell; the smallest pages are no huge ones."""
        found = []
        for cell in capabilities.iterfind("host/topology/cells/cell"):
            number = int(cell.get("id", 0))
            total = {int(one.get("size", 0)): int(one.text or 0) for one in cell.iterfind("pages[@unit='KiB']")}
            sizes = [size for size in sorted(total)[1:] if total[size]]
            free = self.connection.getFreePages(sizes, number, 1, 0).get(number, {}) if sizes else {}
            cpus = frozenset(int(cpu.get("id", 0)) for cpu in cell.iterfind("cpus/cpu"))
            pages = tuple(HugePages(size, total[size], int(free.get(size, 0))) for size in sizes)
            found.append(HostNode(number, cpus, int(cell.findtext("memory", "0")) << 10, pages))
        return tuple(found)

    def _ticked(self) -> int | None:
        """https://libvirt.org/html/libvirt-libvirt-host.html#virNodeGetCPUStats: nanoseconds since the host booted."""
        try:
            spent = self.connection.getCPUStats(libvirt.VIR_NODE_CPU_STATS_ALL_CPUS, 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
                return None
            raise
        return sum(int(spent.get(what, 0)) for what in ("kernel", "user", "idle", "iowait")) // 1_000_000_000

    def _cpu_models(self, emulated: bool) -> frozenset[str]:
        kind = "qemu" if emulated else "kvm"
        told = etree.fromstring(self.connection.getDomainCapabilities(None, "x86_64", None, kind), PARSER)
        return frozenset(model.text or "" for model in told.iterfind("cpu/mode[@name='custom']/model[@usable='yes']"))

    def observe(self) -> tuple[Observation, ...]:
        with self.calling():
            at = clock.now()
            saved = self._saved()
            told = self.connection.getAllDomainStats(_STATE, _NO_WAIT)
            counted = self._count(lambda: self.connection.getAllDomainStats(_COUNTERS, _RUNNING | _NO_WAIT))
            seen = tuple(self._describe(at, domain, stats, saved, counted) for domain, stats in told)
        self._forget_except(observation.uuid for observation in seen)
        return tuple(observation for observation in seen if observation.power is not PowerState.MISSING)

    def observe_one(self, uuid: str, *, counters: bool = True) -> Observation:
        with self.calling():
            at = clock.now()
            try:
                domain = self.domain(uuid)
                told = self.connection.domainListGetStats([domain], _STATE, _NO_WAIT)
                if not told:
                    return _missing(uuid, at)
                # Asked only what the state leaves open: each question is a way to the host and back.
                off = told[0][1].get("state.state") == libvirt.VIR_DOMAIN_SHUTOFF
                counted = {}
                if counters and not off:
                    counted = self._count(
                        lambda: self.connection.domainListGetStats([self.domain(uuid)], _COUNTERS, _NO_WAIT),
                    )
                saved = {uuid} if off and domain.hasManagedSaveImage() else set()
            except libvirt.libvirtError as error:
                if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                    return _missing(uuid, at)
                raise
            return self._describe(at, domain, told[0][1], saved, counted)

    def _count(self, ask: Callable[[], list[tuple[libvirt.virDomain, Stats]]]) -> dict[str, Stats]:
        """Counters by UUID of those that tell any; empty when they do not come within COUNTERS_TIMEOUT.

        A call that got stuck keeps its thread and its connection until its QEMU wakes or dies, and
        libvirt leaves out that machine from then on. A few may be stuck; after that nothing is asked.
        """
        answer: dict[str, Stats] = {}
        if not self._stuck.acquire(blocking=False):
            return answer

        def work() -> None:
            try:
                with self.lines.bound():
                    answer.update({domain.UUIDString(): stats for domain, stats in ask() if stats})
            except (libvirt.libvirtError, HostUnreachable):
                return  # the connection went away; the caller's next call says so
            finally:
                self._stuck.release()

        return answer if Aside(work).wait(COUNTERS_TIMEOUT) else {}

    def _saved(self) -> set[str]:
        """The UUIDs of the machines with saved memory."""
        flag = libvirt.VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE | libvirt.VIR_CONNECT_LIST_DOMAINS_INACTIVE
        return {domain.UUIDString() for domain in self.connection.listAllDomains(flag)}

    def _describe(
        self, at: datetime, domain: libvirt.virDomain, stats: Stats, saved: set[str], counted: dict[str, Stats]
    ) -> Observation:
        uuid = domain.UUIDString()
        state, why = stats.get("state.state", _NOSTATE), stats.get("state.reason", 0)
        power, reason = _CONDITIONS.get((state, why)) or (_POWER.get(state, PowerState.UNKNOWN), "")
        if state == _SHUTOFF and uuid in saved:
            power = PowerState.SUSPENDED
        try:
            definition = self._definition(uuid, domain)
            run = self._run(uuid, domain) if power is PowerState.RUNNING or power is PowerState.PAUSED else None
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN:
                return _missing(uuid, at)  # undefined while we looked
            raise
        if (power, reason) == (PowerState.PAUSED, IO_ERROR) and _no_space(domain):
            reason = NO_SPACE
        counters = counted.get(uuid) if run else None
        return Observation(
            uuid=uuid, name=definition.name, power=power, at=at, reason=reason, definition=definition.digest,
            mark=definition.mark, memory=definition.memory, vcpus=definition.vcpus, boot_id=run.boot_id if run else "",
            consoles=run.consoles if run else (), counters=_counters(counters) if counters else UNTOLD,
        )  # fmt: skip

    def _definition(self, uuid: str, domain: libvirt.virDomain) -> _Definition:
        text = domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
        text_hash = hash(text)
        known = self._definitions.get(uuid)
        if known and known.text_hash == text_hash:
            return known
        machine = Machine.parse(text)
        made = _Definition(
            text_hash=text_hash,
            name=domain.name(),
            digest=_digest(machine),
            mark=machine.mark or "",
            memory=(machine.memory or 0) << 10,
            vcpus=machine.vcpus or 1,
        )
        self._definitions[uuid] = made
        return made

    def _run(self, uuid: str, domain: libvirt.virDomain) -> _Run:
        known = self._runs.get(uuid)
        domain_id = domain.ID()
        if known and known.domain_id == domain_id:
            return known
        machine = Machine.parse(domain.XMLDesc(0))
        made = _Run(int(machine.node.get("id", domain_id)), machine.boot_id, endpoints(machine))
        self._runs[uuid] = made
        return made

    def _forget_except(self, uuids: Iterable[str]) -> None:
        present = set(uuids)
        for memory in (self._definitions, self._runs):
            for uuid in set(memory) - present:
                memory.pop(uuid, None)

    def _graphics(self, emulated: bool) -> frozenset[str]:
        """Which kinds of console QEMU offers here."""
        text = self.connection.getDomainCapabilities(None, "x86_64", None, "qemu" if emulated else "kvm", 0)
        kinds = etree.fromstring(text, PARSER).findall("devices/graphics/enum[@name='type']/value")
        return frozenset({kind.text for kind in kinds if kind.text} & {"vnc", "spice"})


def endpoints(machine: Machine) -> tuple[ConsoleEndpoint, ...]:
    """Where the consoles of a running machine listen, from its live definition."""
    found = []
    for graphics in machine.graphics:
        kind: Literal["vnc", "spice"] = "spice" if graphics.type == "spice" else "vnc"
        if graphics.type != kind:
            continue
        parts = parts_of(machine) if kind == "spice" else None
        if graphics.listen_type == "socket" or graphics.socket:
            found.append(ConsoleEndpoint(kind, unix=graphics.socket or "", parts=parts))
        elif graphics.tls_port and graphics.tls_port > 0:
            found.append(ConsoleEndpoint(kind, host=graphics.host or "", port=graphics.tls_port, tls=True, parts=parts))
        elif graphics.port and graphics.port > 0:
            found.append(ConsoleEndpoint(kind, host=graphics.host or "", port=graphics.port, parts=parts))
    return tuple(found)


def _digest(machine: Machine) -> str:
    """A digest that changes when somebody edits the definition, and only then.

    Left out: our word for the coming run, and the order of the devices, which libvirt changes by itself when
    a machine is started.
    """
    machine.run = None
    devices = machine.node.find("devices")
    if devices is not None:
        devices[:] = sorted(devices, key=lambda device: etree.tostring(device, method="c14n"))
    return hashlib.sha256(etree.tostring(machine.node, method="c14n")).hexdigest()[:32]


def _no_space(domain: libvirt.virDomain) -> bool:
    """Whether a disk of the paused machine could not grow; the hypervisor's own word."""
    try:
        return libvirt.VIR_DOMAIN_DISK_ERROR_NO_SPACE in domain.diskErrors(0).values()
    except libvirt.libvirtError:
        return False


def _missing(uuid: str, at: datetime) -> Observation:
    return Observation(uuid=uuid, name="", power=PowerState.MISSING, at=at)


def _counters(stats: Stats) -> Counters:
    return Counters(
        cpu_time_ns=stats.get("cpu.time", _sum(stats, "vcpu", "vcpu.maximum", "time")),
        memory_used=_memory_used(stats),
        disk_read=_sum(stats, "block", "block.count", "rd.bytes"),
        disk_written=_sum(stats, "block", "block.count", "wr.bytes"),
        net_received=_sum(stats, "net", "net.count", "rx.bytes"),
        net_sent=_sum(stats, "net", "net.count", "tx.bytes"),
    )


def _memory_used(stats: Stats) -> int | None:
    """What the guest says it uses; without a balloon driver in the guest, what its process holds on the host."""
    available, usable = stats.get("balloon.available"), stats.get("balloon.usable")
    if available is not None and usable is not None:
        return (available - usable) << 10
    resident = stats.get("balloon.rss")
    return None if resident is None else resident << 10


def _sum(stats: Stats, group: str, count: str, field: str) -> int | None:
    values = [stats.get(f"{group}.{index}.{field}") for index in range(stats.get(count, 0))]
    told = [value for value in values if value is not None]
    return sum(told) if told else None


def _version(number: int) -> str:
    """libvirt's packed versions: 9000000 is 9.0.0."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
