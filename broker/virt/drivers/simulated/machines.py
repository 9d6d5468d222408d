"""Seeing and defining the machines of a simulated host."""

import hashlib
import json
from dataclasses import asdict
from datetime import datetime
from uuid import NAMESPACE_DNS, uuid5

from broker.core import clock
from broker.core.text import gettext_noop
from broker.virt.driver import (
    UNTOLD,
    ConsoleEndpoint,
    Counters,
    EventKind,
    GuestInfo,
    HostFacts,
    HostNode,
    MachineSpec,
    NotFound,
    Observation,
    PowerState,
    Refused,
    ScreenParts,
)
from broker.virt.drivers import names
from broker.virt.drivers.simulated.world import Data, World, new_machine

_ON = ("running", "paused")
_CPU_SHARE, _BYTES_PER_SECOND = 0.05, 4096  # what a simulated guest uses while it runs


class Link:
    """A connection: the host and whether we still may talk to it."""

    def __init__(self, place: World) -> None:
        self.world = place
        with place.changing() as data:
            self._epoch = data["epoch"]
        self._open = True

    def alive(self) -> bool:
        """Whether the connection stands."""
        with self.world.changing() as data:
            return self._open and data["plugged"] and data["epoch"] == self._epoch

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        self._open = False

    def meet(self, verb: str) -> None:
        """Run into what was ordered for `verb`; HostUnreachable on a connection that is gone."""
        with self.world.changing() as data:
            lost = not self._open or data["epoch"] != self._epoch
        self.world.meet(verb, connection_lost=lost)


class Seeing(Link):
    """The eyes on a simulated host."""

    def facts(self) -> HostFacts:
        self.meet("facts")
        with self.world.changing() as data:
            used = sum(_memory(machine) for machine in data["machines"].values() if machine["power"] in _ON)
        return HostFacts(
            uuid=str(uuid5(NAMESPACE_DNS, self.world.name)),
            hostname=self.world.name, hypervisor="Simulated 1", manager="simulated 1", cpus=self.world.cpus,
            cpu_model="simulated", memory=self.world.memory, memory_free=max(self.world.memory - used, 0),
            emulated=False, cpu_models=self.world.cpu_models,
            nodes=(HostNode(0, frozenset(range(self.world.cpus)), self.world.memory),),
        )  # fmt: skip

    def observe(self) -> tuple[Observation, ...]:
        self.meet("observe")
        at = clock.now()
        with self.world.changing() as data:
            return tuple(self.describe(uuid, machine, at) for uuid, machine in data["machines"].items())

    def observe_one(self, uuid: str) -> Observation:
        self.meet("observe_one")
        return self.look(uuid)

    def look(self, uuid: str) -> Observation:
        """What `observe_one` says, without its faults and delays."""
        at = clock.now()
        with self.world.changing() as data:
            machine = data["machines"].get(uuid)
            if machine is None:
                return Observation(uuid=uuid, name="", power=PowerState.MISSING, at=at)
            return self.describe(uuid, machine, at)

    def guest(self, uuid: str) -> GuestInfo | None:
        self.meet("guest")
        with self.world.changing() as data:
            machine = find(data, uuid)
            if machine["power"] != "running" or not has_agent(machine):
                return None
            return GuestInfo(hostname=machine["name"], os_name="Simulated", os_version="1", addresses=(_address(uuid),))

    def describe(self, uuid: str, machine: Data, at: datetime) -> Observation:
        """A machine's data as an Observation."""
        definition = machine["definition"]
        running = machine["power"] in _ON
        consoles: tuple[ConsoleEndpoint, ...] = ()
        if running:
            kinds = definition.get("graphics", ["vnc"])
            path = self.world.vnc or f"/run/simulated/{self.world.name}/{uuid}.sock"
            parts = {"spice": ScreenParts(**(machine.get("screen") or {}))}
            consoles = tuple(ConsoleEndpoint(kind, unix=path, parts=parts.get(kind)) for kind in kinds)
        return Observation(
            uuid=uuid, name=machine["name"], power=PowerState(machine["power"]), at=at, reason=machine["reason"],
            boot_id=str(machine["run"]) if running else "", definition=_digest(definition), mark=machine["mark"],
            vcpus=definition.get("vcpus", 1), memory=_memory(machine), consoles=consoles,
            counters=_counters(machine, at) if running else UNTOLD,
        )  # fmt: skip


class Defining(Link):
    """The definitions on a simulated host."""

    def define(self, spec: MachineSpec) -> None:
        names.check(spec.name)
        for disk in spec.disks:
            names.check_path(disk.path)
        self.meet("define")
        wanted = json.loads(json.dumps(asdict(spec)))
        with self.world.changing() as data:
            for uuid, other in data["machines"].items():
                if other["name"] == spec.name and uuid != spec.uuid:
                    raise Refused(
                        gettext_noop("The host has a machine called “%(name)s” already."),
                        fix=gettext_noop("Use another name."),
                        name=spec.name,
                    )
            machine = data["machines"].setdefault(spec.uuid, new_machine(spec.name, {}))
            changed = machine["definition"] | wanted
            if machine["definition"] != changed:
                machine.update(name=spec.name, definition=changed, mark=spec.mark)
                self.world.note(data, EventKind.DEFINED, spec.uuid, "defined")

    def undefine(self, uuid: str) -> None:
        self.meet("undefine")
        with self.world.changing() as data:
            machine = data["machines"].get(uuid)
            if machine is None:
                return
            if machine["power"] in _ON:
                raise Refused(
                    gettext_noop("The machine “%(name)s” is running."),
                    fix=gettext_noop("Power it off first."),
                    name=machine["name"],
                )
            del data["machines"][uuid]
            self.world.note(data, EventKind.UNDEFINED, uuid, "undefined")

    def definition(self, uuid: str) -> str:
        self.meet("definition")
        with self.world.changing() as data:
            return json.dumps(find(data, uuid)["definition"], indent=2, sort_keys=True)


def find(data: Data, uuid: str) -> Data:
    """The machine's data. Raises NotFound."""
    try:
        return data["machines"][uuid]  # type: ignore[no-any-return]
    except KeyError:
        raise NotFound(
            gettext_noop("The host knows no machine %(uuid)s."),
            fix=gettext_noop("Look whether it was removed or moved."),
            uuid=uuid,
        ) from None


def has_agent(machine: Data) -> bool:
    """Whether a guest agent would answer in the machine when it runs."""
    return bool(machine["definition"].get("agent")) and not machine["agentless"]


def _memory(machine: Data) -> int:
    return int(machine["definition"].get("memory_mib", 0)) << 20


def _digest(definition: Data) -> str:
    return hashlib.sha256(json.dumps(definition, sort_keys=True).encode()).hexdigest()[:32]


def _counters(machine: Data, at: datetime) -> Counters:
    seconds = (at - datetime.fromisoformat(machine["since"])).total_seconds() if machine["since"] else 0.0
    moved = int(seconds * _BYTES_PER_SECOND)
    return Counters(
        cpu_time_ns=int(seconds * _CPU_SHARE * 1e9), memory_used=_memory(machine) // 2, disk_read=moved,
        disk_written=moved, net_received=moved, net_sent=moved,
    )  # fmt: skip


def _address(uuid: str) -> str:
    """An address of the range for documentation, always the same for a machine."""
    return f"192.0.2.{int(uuid.replace('-', '')[:8], 16) % 254 + 1}"
