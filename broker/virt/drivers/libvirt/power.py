"""Start, stop and everything between. Asking for what already is so succeeds."""

import secrets
from typing import Literal

import libvirt
from lxml import etree

from broker.virt.driver import DiskSpec, not_running
from broker.virt.drivers import names
from broker.virt.drivers.libvirt import agent, clipboard, moves
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml import hardware
from broker.virt.drivers.libvirt.domain_xml.build import put_disk
from broker.virt.drivers.libvirt.domain_xml.machine import Machine
from broker.virt.drivers.libvirt.domain_xml.mapping import NAMESPACE, PARSER

_FULL = libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE
_STARTING = [libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PAUSED_STARTING_UP]
_PAUSED = (libvirt.VIR_DOMAIN_PAUSED, libvirt.VIR_DOMAIN_PMSUSPENDED)


class Powering(Link):
    """The power verbs of a host."""

    def start(self, uuid: str, *, boot: str = "", cd: DiskSpec | None = None) -> None:
        if cd is not None:
            names.check_path(cd.path)
        with self.calling():
            domain = self.domain(uuid)
            active = domain.isActive()
            if active and domain.state() != _STARTING:
                return
            saved = domain.hasManagedSaveImage()
            if not saved and not active:
                _stamp(domain)
            try:
                if (boot or cd) and not saved:
                    self._start_once(domain, boot, cd)
                else:
                    domain.create()  # waits for whoever is starting it already
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or not domain.isActive():
                    raise
                return  # somebody started it first
            if saved:
                moves.drop_boot(domain)
                clipboard.plug(domain)

    def _start_once(self, domain: libvirt.virDomain, boot: str, cd: DiskSpec | None) -> None:
        """A run of a definition that is kept nowhere; the persistent one stays beside it."""
        machine = Machine.parse(domain.XMLDesc(_FULL))
        if cd is not None:
            put_disk(cd, machine)
        if boot:
            hardware.boot(boot, machine)
        self.connection.createXML(machine.xml())

    def shutdown(self, uuid: str, *, via: Literal["acpi", "agent"]) -> None:
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive():
                return
            if via == "agent":
                agent.require(domain)
                domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
            else:
                domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN)

    def power_off(self, uuid: str) -> None:
        with self.calling():
            domain = self.domain(uuid)
            try:
                domain.destroy()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_OPERATION_INVALID or domain.isActive():
                    raise

    def reboot(self, uuid: str) -> None:
        with self.calling():
            domain = self._running(uuid)
            via_agent = agent.connected(domain)
            domain.reboot(
                libvirt.VIR_DOMAIN_REBOOT_GUEST_AGENT if via_agent else libvirt.VIR_DOMAIN_REBOOT_ACPI_POWER_BTN
            )

    def reset(self, uuid: str) -> None:
        with self.calling():
            self._running(uuid).reset()

    def pause(self, uuid: str) -> None:
        with self.calling():
            domain = self._running(uuid)
            if domain.state()[0] not in _PAUSED:
                domain.suspend()

    def resume(self, uuid: str) -> None:
        with self.calling():
            domain = self._running(uuid)
            if domain.state()[0] in _PAUSED:
                domain.resume()

    def suspend(self, uuid: str) -> None:
        with self.calling():
            domain = self.domain(uuid)
            if not domain.isActive() and domain.hasManagedSaveImage():
                return
            clipboard.unplug(domain)
            try:
                domain.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
            except libvirt.libvirtError:
                clipboard.plug(domain)
                raise

    def discard_saved(self, uuid: str) -> None:
        with self.calling():
            domain = self.domain(uuid)
            if domain.hasManagedSaveImage():
                domain.managedSaveRemove()

    def _running(self, uuid: str) -> libvirt.virDomain:
        domain = self.domain(uuid)
        if not domain.isActive():
            raise not_running(domain.name())
        return domain


def _stamp(domain: libvirt.virDomain) -> None:
    """Write a new word for the coming run into the metadata of a machine of ours.

    Domain ids start again with libvirtd, so the id alone does not tell two runs apart. A foreign machine is
    left alone.
    """
    kind, scope = libvirt.VIR_DOMAIN_METADATA_ELEMENT, libvirt.VIR_DOMAIN_AFFECT_CONFIG
    try:
        present = etree.fromstring(domain.metadata(kind, NAMESPACE, scope), PARSER)
    except libvirt.libvirtError as error:
        if error.get_error_code() == libvirt.VIR_ERR_NO_DOMAIN_METADATA:
            return
        raise
    # without our prefix: libvirt adds the namespace itself and refuses one that is there
    element = etree.Element("machine", dict(present.attrib))
    element.set("run", secrets.token_hex(4))
    domain.setMetadata(kind, etree.tostring(element, encoding="unicode"), "berth", NAMESPACE, scope)
