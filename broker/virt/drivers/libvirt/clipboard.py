"""Take the clipboard channel out while a machine's memory is saved, and put it back when it runs again.

QEMU cannot save or migrate a machine that has a qemu-vdagent channel ("The vdagent chardev doesn't yet
support migration", QEMU 7.2). The channel is a port on a bus of the guest and can be unplugged at any time.
"""

import libvirt
from lxml import etree

from broker.virt.drivers.libvirt.domain_xml.devices import Channel
from broker.virt.drivers.libvirt.domain_xml.machine import Machine

KIND = "qemu-vdagent"


def unplug(domain: libvirt.virDomain) -> None:
    """Take the channels out of the running machine; its persistent definition keeps them."""
    for channel in _channels(domain, live=True):
        domain.detachDeviceFlags(_text(channel), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def plug(domain: libvirt.virDomain) -> None:
    """Put the channels of the persistent definition that the running machine lacks back into it."""
    if not domain.isActive():
        return
    present = {channel.name for channel in _channels(domain, live=True)}
    for channel in _channels(domain, live=False):
        if channel.name not in present:
            domain.attachDeviceFlags(_text(channel), libvirt.VIR_DOMAIN_AFFECT_LIVE)


def _channels(domain: libvirt.virDomain, *, live: bool) -> list[Channel]:
    machine = Machine.parse(domain.XMLDesc(0 if live else libvirt.VIR_DOMAIN_XML_INACTIVE))
    return [channel for channel in machine.channels if channel.type == KIND]


def _text(channel: Channel) -> str:
    return str(etree.tostring(channel.node, encoding="unicode"))
