"""Write and forget persistent definitions."""

import libvirt

from broker.core.text import gettext_noop
from broker.virt.driver import DriverError, MachineSpec, NotFound, Refused
from broker.virt.drivers import names
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.build import FILTERS, apply, fresh
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from broker.virt.drivers.libvirt.kvm import Emulation

_FORGET = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)
_FULL = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE


class Defining(Emulation, Link):
    """The definitions on a host."""

    def define(self, spec: MachineSpec) -> None:
        names.check(spec.name)
        for disk in spec.disks:
            names.check_path(disk.path)
        try:
            domain = self._named(spec)
        except NotFound:
            domain = None
        self._require_filters(spec)
        with self.calling():
            if domain is None:
                self.connection.defineXML(fresh(spec, emulated=self.emulation()[0]).xml())
                return
            machine = Machine.parse(domain.XMLDesc(_FULL))
            before = machine.xml()
            apply(spec, machine)
            if machine.xml() != before:
                self.connection.defineXML(machine.xml())

    def _require_filters(self, spec: MachineSpec) -> None:
        """Raise Refused where the host lacks what holds cards to their addresses: it would not start the machine."""
        for name in sorted({FILTERS[nic.guard] for nic in spec.nics if nic.guard in FILTERS}):
            try:
                with self.calling():
                    self.connection.nwfilterLookupByName(name)
            except DriverError as error:
                if error.retry:
                    raise
                raise Refused(
                    gettext_noop("The host has no filter “%(name)s” to hold network cards to their own addresses."),
                    fix=gettext_noop(
                        "Install libvirt-daemon-config-nwfilter there, or let the network's cards send as anything."
                    ),
                    name=name,
                ) from error

    def undefine(self, uuid: str) -> None:
        try:
            with self.calling():
                domain = self.domain(uuid)
                if domain.isActive():
                    raise Refused(
                        gettext_noop("The machine “%(name)s” is running."),
                        fix=gettext_noop("Power it off first."),
                        name=domain.name(),
                    )
                domain.undefineFlags(_FORGET)
        except NotFound:
            return  # that is what was asked for

    def definition(self, uuid: str) -> str:
        with self.calling():
            return str(self.domain(uuid).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))

    def _named(self, spec: MachineSpec) -> libvirt.virDomain:
        """The existing domain, renamed when it is called something else."""
        with self.calling():
            domain = self.domain(spec.uuid)
            if domain.name() != spec.name:
                domain.rename(spec.name)
            return domain
