"""The way to a machine's SPICE server: a unix socket, its host's agent, or TLS with a certificate of our authority."""

import asyncio

import aiofastnet

from broker.gateway import agents
from broker.gateway.closing import UNREACHABLE
from broker.gateway.desk import Refused, Target
from broker.gateway.dial import Machine, Receiver, keep_watch
from broker.gateway.floor import Floor
from broker.gateway.rfb.hypervisor import HypervisorHandshake
from broker.virt.agent.sockets import connected


class SpiceMachine(Machine):
    """A connection on which the client's link message comes first: nothing is settled before it."""

    def __init__(self, receiver: Receiver):
        super().__init__(receiver, HypervisorHandshake(tls=False))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.pause_reading()


async def dial(target: Target, receiver: Receiver, floor: Floor, *, blind: bool = False) -> SpiceMachine:
    """Returns a connection that is paused until `relay`. Raises Refused; the caller sets the time limit.

    `blind`: the client itself will speak TLS with the machine's host.
    """
    context = None if blind else floor.hypervisor_tls
    if not (target.unix or target.agent or blind or context):
        raise Refused(UNREACHABLE)
    loop = asyncio.get_running_loop()
    machine = SpiceMachine(receiver)
    try:
        if target.agent:
            keep_watch(await agents.connect(target, machine, seconds=floor.limits.handshake))
        elif target.unix:
            await aiofastnet.create_unix_connection(loop, lambda: machine, sock=await connected(target.unix))
        else:
            patience = floor.limits.handshake if context else None
            transport, _ = await loop.create_connection(
                lambda: machine, target.host, target.port, ssl=context,
                server_hostname=target.host if context else None, ssl_handshake_timeout=patience,
            )  # fmt: skip
            keep_watch(transport.get_extra_info("socket"))
    except OSError as error:
        machine.abort()
        raise Refused(UNREACHABLE) from error
    except BaseException:
        machine.abort()
        raise
    return machine
