"""Machines of a simulated host, changed while they run. A deaf guest neither obeys the balloon nor lets cards go."""

from dataclasses import asdict

from broker.core.text import gettext_noop
from broker.virt.driver import DeviceSpec, NicSpec, Refused, Running
from broker.virt.drivers.simulated.machines import Link
from broker.virt.drivers.simulated.power import running
from broker.virt.drivers.simulated.world import Data

_STEP_MIB = 128


class Changing(Link):
    """The runs of a simulated host's machines."""

    def running(self, uuid: str) -> Running:
        self.meet("running")
        with self.world.changing() as data:
            run = run_of(running(data, uuid))
            return Running(run["vcpus"], run["memory_mib"], run["balloon_mib"], tuple(run["cards"]))

    def plug_vcpus(self, uuid: str, count: int) -> None:
        self.meet("plug_vcpus")
        with self.world.changing() as data:
            run = run_of(running(data, uuid))
            if count > run["max_vcpus"]:
                raise Refused(
                    gettext_noop("Its present run can have %(most)s processors at most."),
                    fix=gettext_noop("Set its most processors higher; that counts from its next start on."),
                    most=run["max_vcpus"],
                )
            run["vcpus"] = max(run["vcpus"], count)

    def plug_memory(self, uuid: str, memory_mib: int) -> None:
        self.meet("plug_memory")
        with self.world.changing() as data:
            run = run_of(running(data, uuid))
            more = memory_mib - run["memory_mib"]
            if more <= 0:
                return
            if memory_mib > run["max_memory_mib"]:
                raise Refused(
                    gettext_noop("Its present run can have %(most)s MiB of memory at most."),
                    fix=gettext_noop("Set its most memory higher; that counts from its next start on."),
                    most=run["max_memory_mib"],
                )
            if more % _STEP_MIB:
                raise Refused(
                    gettext_noop("Memory is plugged in by %(step)s MiB; it has %(present)s MiB now."),
                    fix=gettext_noop("Choose a size that is a multiple of %(step)s MiB away from that."),
                    step=_STEP_MIB, present=run["memory_mib"],
                )  # fmt: skip
            run["memory_mib"] += more
            run["balloon_mib"] += more

    def set_balloon(self, uuid: str, memory_mib: int) -> None:
        self.meet("set_balloon")
        with self.world.changing() as data:
            machine = running(data, uuid)
            run = run_of(machine)
            if memory_mib > run["memory_mib"]:
                raise Refused(
                    gettext_noop("It has %(present)s MiB in its present run."),
                    fix=gettext_noop("Choose less, or give it more memory."), present=run["memory_mib"],
                )  # fmt: skip
            if not machine["deaf"]:
                run["balloon_mib"] = memory_mib

    def attach_nic(self, uuid: str, nic: NicSpec) -> None:
        self.meet("attach_nic")
        with self.world.changing() as data:
            run_of(running(data, uuid))["cards"].setdefault(nic.mac, asdict(nic))

    def detach_nic(self, uuid: str, mac: str) -> bool:
        self.meet("detach_nic")
        with self.world.changing() as data:
            machine = running(data, uuid)
            if machine["deaf"]:
                return mac not in run_of(machine)["cards"]
            run_of(machine)["cards"].pop(mac, None)
            return True

    def change_nic(self, uuid: str, nic: NicSpec) -> None:
        self.meet("change_nic")
        with self.world.changing() as data:
            cards = run_of(running(data, uuid))["cards"]
            if nic.mac not in cards:
                raise Refused(
                    gettext_noop("Its present run has no card %(mac)s."), fix=gettext_noop("Plug it in first."),
                    mac=nic.mac,
                )  # fmt: skip
            cards[nic.mac] = asdict(nic)


def spec_of(one: Data) -> DeviceSpec:
    """A device of a definition."""
    return DeviceSpec(one["kind"], one["address"], one["vendor"], one["product"])


def run_of(machine: Data) -> Data:
    """The hardware of the run at hand; at its beginning that of the definition."""
    if machine.get("hardware_run") != machine["run"]:
        definition = machine["definition"]
        hardware, vcpus, memory = definition.get("hardware", {}), definition["vcpus"], definition["memory_mib"]
        machine.update(hardware_run=machine["run"], hardware={
            "vcpus": vcpus, "max_vcpus": max(hardware.get("max_vcpus") or 0, vcpus),
            "memory_mib": memory, "max_memory_mib": max(hardware.get("max_memory_mib") or 0, memory),
            "balloon_mib": hardware.get("balloon_mib") or memory,
            "cards": {card["mac"]: card for card in definition.get("nics", [])},
            "devices": {spec_of(one).key: one for one in definition.get("devices", [])},
        })  # fmt: skip
    return machine["hardware"]  # type: ignore[no-any-return]
