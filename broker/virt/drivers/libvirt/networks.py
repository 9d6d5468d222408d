"""Virtual networks: behind the host (nat), closed (isolated), or joined to a bridge of the host or of Open vSwitch."""

import ipaddress

import libvirt
from lxml import etree

from broker.core.errors import Invalid
from broker.core.text import gettext_noop
from broker.virt.driver import Lease, NetworkSpec, NotFound, Refused
from broker.virt.drivers import names
from broker.virt.drivers.libvirt.connection import Link
from broker.virt.drivers.libvirt.domain_xml.mapping import PARSER

_DNSMASQ = "http://libvirt.org/schemas/network/dnsmasq/1.0"


class Networking(Link):
    """The networks of a host."""

    def ensure_network(self, spec: NetworkSpec) -> None:
        names.check(spec.name)
        with self.calling():
            try:
                network = self.connection.networkLookupByName(spec.name)
                present = etree.fromstring(network.XMLDesc(libvirt.VIR_NETWORK_XML_INACTIVE), PARSER)
                _check_kind(spec, present)
                if _place(present) != _place(etree.fromstring(network_xml(spec), PARSER)):
                    network = self.connection.networkDefineXML(network_xml(spec))
                    if network.isActive():
                        network.destroy()
            except libvirt.libvirtError as error:
                if error.get_error_code() != libvirt.VIR_ERR_NO_NETWORK:
                    raise
                network = self.connection.networkDefineXML(network_xml(spec))
            if not network.autostart():
                network.setAutostart(True)
            if not network.isActive():
                _activate(network)

    def leases(self, name: str) -> tuple[Lease, ...]:
        try:
            with self.calling():
                network = self.connection.networkLookupByName(name)
                if not network.isActive():
                    return ()
                told = network.DHCPLeases()
        except NotFound:
            return ()
        return tuple(Lease(mac=one["mac"], address=one["ipaddr"]) for one in told if one.get("mac"))

    def remove_network(self, name: str) -> None:
        try:
            with self.calling():
                network = self.connection.networkLookupByName(name)
                if network.isActive():
                    network.destroy()
                network.undefine()
        except NotFound:
            return  # that is what was asked for


def _activate(network: libvirt.virNetwork) -> None:
    """Start it; another worker may have done so between our look and our call."""
    try:
        network.create()
    except libvirt.libvirtError:
        if not network.isActive():
            raise


def network_xml(spec: NetworkSpec) -> str:
    """The definition of a network. Raises Invalid for a subnet that cannot serve guests."""
    root = etree.Element("network", nsmap={"dnsmasq": _DNSMASQ})
    etree.SubElement(root, "name").text = spec.name
    etree.SubElement(root, "uuid").text = spec.uuid
    if spec.kind in ("bridge", "ovs"):
        etree.SubElement(root, "forward", mode="bridge")
        etree.SubElement(root, "bridge", name=names.check(spec.bridge))
        if spec.kind == "ovs":
            etree.SubElement(root, "virtualport", type="openvswitch")
        if spec.vlan:
            etree.SubElement(etree.SubElement(root, "vlan"), "tag", id=str(spec.vlan))
    else:
        if spec.kind == "nat":
            etree.SubElement(root, "forward", mode="nat")
        etree.SubElement(root, "bridge", stp="on", delay="0")
        if spec.mtu:
            etree.SubElement(root, "mtu", size=str(spec.mtu))
        _addresses(root, spec.subnet)
        options = etree.SubElement(root, f"{{{_DNSMASQ}}}options")
        # dnsmasq pings an address for three seconds before it gives it away; leases are enough for us
        etree.SubElement(options, f"{{{_DNSMASQ}}}option", value="no-ping")
    return str(etree.tostring(root, encoding="unicode"))


def _addresses(root: etree._Element, subnet: str) -> None:
    """The host gets the first address, the guests the others by DHCP."""
    try:
        network = ipaddress.IPv4Network(subnet)
        if network.num_addresses < 8:
            raise ValueError("too small")
    except ValueError as error:
        raise Invalid(
            gettext_noop("“%(subnet)s” is not a usable IPv4 subnet."),
            field="subnet",
            fix=gettext_noop("Give one like 192.0.2.0/24, with at least eight addresses."),
            subnet=subnet,
        ) from error
    ip = etree.SubElement(root, "ip", address=str(network[1]), netmask=str(network.netmask))
    dhcp = etree.SubElement(ip, "dhcp")
    etree.SubElement(dhcp, "range", start=str(network[2]), end=str(network[-2]))


def _check_kind(spec: NetworkSpec, present: etree._Element) -> None:
    """Raise Refused when the network of this name is of another kind."""
    forward = present.find("forward")
    kind = "isolated" if forward is None else forward.get("mode", "nat")
    if kind == "bridge" and present.find("virtualport[@type='openvswitch']") is not None:
        kind = "ovs"
    if kind != spec.kind:
        raise Refused(
            gettext_noop("The host has a network “%(name)s” already, of kind “%(kind)s”."),
            fix=gettext_noop("Use another name, or remove that network."),
            name=spec.name,
            kind=kind,
        )


def _place(root: etree._Element) -> tuple[str, ...]:
    """What of a network can be edited: the bridge and tag of a joined one, the addresses and MTU of one of ours."""
    if root.find("forward[@mode='bridge']") is not None:
        return tuple(str(root.xpath(path)) for path in ("string(bridge/@name)", "string(vlan/tag/@id)"))
    return tuple(str(root.xpath(path)) for path in ("string(ip/@address)", "string(ip/@netmask)", "string(mtu/@size)"))
