"""The magic packet of Wake-on-LAN: six bytes 0xFF, then the card's address sixteen times, by UDP to port 9.

As AMD's white paper "Magic Packet Technology" (1995) has it; the packet may come in any frame.
"""

import ipaddress
import socket

PORT = 9  # "discard": nobody answers there
EVERYBODY = "255.255.255.255"


def packet(mac: str) -> bytes:
    """`mac` as names.mac writes it."""
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) * 16


def send(mac: str, *, towards: str, broadcast: str = "") -> None:
    """Send it to `broadcast`, or to everybody in the network by which `towards` is reached. Raises OSError."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if not broadcast and (own := _own_address(towards)):
            # Linux sends what goes to everybody out of the card that has the sender's address.
            sock.bind((own, 0))
        sock.sendto(packet(mac), (broadcast or EVERYBODY, PORT))


def _own_address(towards: str) -> str:
    """Which of this computer's addresses leads there; empty when none does. Nothing is sent."""
    try:
        if ipaddress.ip_address(towards).version != 4:
            return ""
    except ValueError:
        return ""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((towards, PORT))
        except OSError:
            return ""
        return str(sock.getsockname()[0])
