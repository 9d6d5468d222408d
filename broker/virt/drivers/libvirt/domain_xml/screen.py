"""What a SPICE screen has beside the picture: USB ports and a card reader of the client, clipboard, files.

Ports that lead elsewhere than to a SPICE client are somebody else's and stay.
"""

from broker.virt.driver import ScreenParts
from broker.virt.drivers.libvirt.domain_xml.devices import Controller, Redirection, Smartcard
from broker.virt.drivers.libvirt.domain_xml.machine import Machine

CLIENT = "spicevmc"
# What goes with a port: who reaches the socket is Berth, which asks for its own tickets.
OF_PORTS = ("port", "tlsPort", "autoport", "websocket", "listen", "socket", "passwd", "passwdValidTo", "defaultMode")


def apply(wanted: ScreenParts, machine: Machine) -> None:
    """Make the machine have these; one without SPICE has none of them, nor one that was denied a USB controller."""
    spice = next((one for one in machine.graphics if one.type == "spice"), None)
    plugs = spice is not None and not any(one.model == "none" for one in machine.controllers if one.type == "usb")
    ports = [one for one in machine.redirections if one.type == CLIENT]
    count = wanted.usb if plugs else 0
    for port in ports[count:]:
        machine.redirections.remove(port)
    for _ in range(count - len(ports)):
        machine.redirections.add(Redirection.new(bus="usb", type=CLIENT))
    if plugs and (count or wanted.smartcard) and not any(one.type == "usb" for one in machine.controllers):
        machine.controllers.add(Controller.new(type="usb", model="qemu-xhci"))  # else libvirt's own choice may be slow
    readers = [one for one in machine.smartcards if one.type == CLIENT]
    if wanted.smartcard and plugs and not len(machine.smartcards):
        machine.smartcards.add(Smartcard.new(mode="passthrough", type=CLIENT))
    elif not (wanted.smartcard and plugs):
        for reader in readers:
            machine.smartcards.remove(reader)
    if spice is not None:
        spice.copypaste = _switch(spice.copypaste, on=wanted.clipboard)
        spice.filetransfer = _switch(spice.filetransfer, on=wanted.files)


def seclude(machine: Machine) -> None:
    """Have every VNC and SPICE screen that listens on a port listen on a socket that libvirt names."""
    for one in machine.graphics:
        if one.type not in ("vnc", "spice") or one.listen_type == "socket" or one.socket:
            continue
        for name in OF_PORTS:
            one.node.attrib.pop(name, None)
        for child in (*one.node.findall("listen"), *one.node.findall("channel")):
            one.node.remove(child)
        one.listen_type = "socket"


def parts_of(machine: Machine) -> ScreenParts:
    """What the machine has of these."""
    spice = next((one for one in machine.graphics if one.type == "spice"), None)
    return ScreenParts(
        usb=sum(one.type == CLIENT for one in machine.redirections),
        smartcard=any(one.type == CLIENT for one in machine.smartcards),
        clipboard=spice is None or spice.copypaste != "no",
        files=spice is None or spice.filetransfer != "no",
    )


def _switch(present: str | None, *, on: bool) -> str | None:
    if on:
        return None if present == "no" else present
    return "no"
