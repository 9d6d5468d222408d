"""The way to a machine's screen for engines that use one thread a console: the same handshake, blocking."""

import socket
import struct

from . import agents, rdp
from .closing import NONSENSE, UNREACHABLE
from .desk import Refused, Target
from .dial import handshake_with, keep_watch, needs_tls
from .floor import Floor
from .rfb import RfbError
from .rfb.hypervisor import Stage


def dial_blocking(target: Target, floor: Floor) -> tuple[socket.socket, bytes]:
    """Connect and settle security; returns the socket and what the machine sent early. Raises Refused."""
    if target.rdp:
        target = Target(unix=rdp.begin(target.rdp, floor.limits.remote_desktops))
    if needs_tls(target) and floor.hypervisor_tls is None:
        raise Refused(UNREACHABLE)
    sock = socket.socket()
    try:
        if target.agent:
            sock.close()
            sock = agents.connect_blocking(target, seconds=floor.limits.handshake)
            keep_watch(sock)
        elif target.unix:
            sock.close()
            sock = socket.socket(socket.AF_UNIX)
            # With settimeout() it would be refused while others wait to be taken; so it waits with them.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(floor.limits.handshake), 0))
            sock.connect(target.unix)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", 0, 0))
            sock.settimeout(floor.limits.handshake)
        else:
            sock.close()
            sock = socket.create_connection((target.host, target.port), floor.limits.handshake)
            keep_watch(sock)
        if target.hello:
            sock.sendall(target.hello)
            return sock, b""
        handshake = handshake_with(target)
        while handshake.stage is not Stage.DONE:
            if handshake.stage is Stage.TLS:
                assert floor.hypervisor_tls is not None
                sock = floor.hypervisor_tls.wrap_socket(sock, server_hostname=target.host)
                handshake.tls_started()
            if not (data := sock.recv(4096)):
                raise ConnectionError("closed during the handshake")
            if answer := handshake.receive(data):
                sock.sendall(answer)
        return sock, handshake.rest
    except RfbError as error:
        sock.close()
        raise Refused(NONSENSE) from error
    except OSError as error:
        sock.close()
        raise Refused(UNREACHABLE) from error
