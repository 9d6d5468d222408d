"""Machines changed while they run. Only the run is touched: the definition is written by `define`.

What QEMU has of it afterwards is asked anew each time, for a guest may take its time or never do it.
"""

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import NicSpec, Refused, Running, not_running
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.build import describe_nic, nic_element
from broker.virt.drivers.libvirt.domain_xml.devices import Interface, Memory
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from broker.virt.drivers.libvirt.errors import family

STEP_MIB = 128  # what guests take memory in

_LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE


class Changing(Link):
    """The runs of a host's machines."""

    def running(self, uuid: str) -> Running:
        with self.calling():
            domain, machine = self._run_of(uuid)
            return Running(
                vcpus=machine.current_vcpus or machine.vcpus or 1,
                memory_mib=(machine.memory or 0) >> 10,
                balloon_mib=domain.info()[2] >> 10,
                cards=tuple(card.mac for card in machine.interfaces if card.mac),
            )

    def plug_vcpus(self, uuid: str, count: int) -> None:
        with self.calling():
            domain, machine = self._run_of(uuid)
            most, present = machine.vcpus or 1, machine.current_vcpus or machine.vcpus or 1
            if count > most:
                raise Refused(
                    gettext_noop("Its present run can have %(most)s processors at most."),
                    fix=gettext_noop("Set its most processors higher; that counts from its next start on."), most=most,
                )  # fmt: skip
            if count > present:
                domain.setVcpusFlags(count, _LIVE)

    def plug_memory(self, uuid: str, memory_mib: int) -> None:
        with self.calling():
            domain, machine = self._run_of(uuid)
            most, present = (machine.max_memory or 0) >> 10, (machine.memory or 0) >> 10
            if memory_mib <= present:
                return
            if memory_mib > most:
                raise Refused(
                    gettext_noop("Its present run can have %(most)s MiB of memory at most."),
                    fix=gettext_noop("Set its most memory higher; that counts from its next start on."),
                    most=max(most, present),
                )  # fmt: skip
            if (memory_mib - present) % STEP_MIB:
                raise Refused(
                    gettext_noop("Memory is plugged in by %(step)s MiB; it has %(present)s MiB now."),
                    fix=gettext_noop("Choose a size that is a multiple of %(step)s MiB away from that."),
                    step=STEP_MIB, present=present,
                )  # fmt: skip
            module = Memory.new(model="dimm", size=memory_mib - present, unit="MiB", node_id=0)
            domain.attachDeviceFlags(module.xml(), _LIVE)

    def set_balloon(self, uuid: str, memory_mib: int) -> None:
        with self.calling():
            domain, machine = self._run_of(uuid)
            if memory_mib << 10 > (machine.memory or 0):
                raise Refused(
                    gettext_noop("It has %(present)s MiB in its present run."),
                    fix=gettext_noop("Choose less, or give it more memory."), present=(machine.memory or 0) >> 10,
                )  # fmt: skip
            domain.setMemoryFlags(memory_mib << 10, _LIVE)

    def attach_nic(self, uuid: str, nic: NicSpec) -> None:
        with self.calling():
            domain, machine = self._run_of(uuid)
            if _card(machine, nic.mac) is None:
                self._try(domain.attachDeviceFlags, nic_element(nic).xml())

    def detach_nic(self, uuid: str, mac: str) -> bool:
        with self.calling():
            domain, machine = self._run_of(uuid)
            if (card := _card(machine, mac)) is None:
                return True
            try:
                domain.detachDeviceFlags(card.xml(), _LIVE)
            except libvirt.libvirtError as error:
                # asked for already, and the guest takes its time; or it went between the look and the call
                if error.get_error_code() not in (libvirt.VIR_ERR_OPERATION_FAILED, libvirt.VIR_ERR_DEVICE_MISSING):
                    raise
            return _card(Machine.parse(domain.XMLDesc()), mac) is None

    def change_nic(self, uuid: str, nic: NicSpec) -> None:
        with self.calling():
            domain, machine = self._run_of(uuid)
            card = _card(machine, nic.mac)
            if card is None:
                raise Refused(
                    gettext_noop("Its present run has no card %(mac)s."), fix=gettext_noop("Plug it in first."),
                    mac=nic.mac,
                )  # fmt: skip
            before = card.xml()
            describe_nic(nic, card)
            card.type = "network"  # a run says "bridge" of one that its network joined to a bridge of the host
            for name in ("portid", "bridge"):  # of the network it was in
                card.node.find("source").attrib.pop(name, None)
            if card.xml() != before:
                self._try(domain.updateDeviceFlags, card.xml())

    def _run_of(self, uuid: str) -> tuple[libvirt.virDomain, Machine]:
        domain = self.domain(uuid)
        if not domain.isActive():
            raise not_running(domain.name())
        return domain, Machine.parse(domain.XMLDesc())

    @staticmethod
    def _try(verb, xml: str) -> None:  # type: ignore[no-untyped-def]
        """What a host cannot do (no free slot, no traffic control in its kernel) libvirt calls an internal error."""
        try:
            verb(xml, _LIVE)
        except libvirt.libvirtError as error:
            if error.get_error_code() != libvirt.VIR_ERR_INTERNAL_ERROR or issubclass(family(error), Refused):
                raise
            raise Refused(
                gettext_noop("The host said: %(reason)s."),
                fix=gettext_noop("Start the machine anew to have it, or look at the host's log."),
                reason=error.get_error_message() or str(error),
            ) from error


def _card(machine: Machine, mac: str) -> Interface | None:
    return next((card for card in machine.interfaces if card.mac == mac), None)
