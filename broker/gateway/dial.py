"""The way to a machine's screen on the event loop: connect, shake hands, then hand the bytes over."""

import asyncio
import socket
from typing import Protocol, cast

import aiofastnet

from broker.virt.agent.sockets import connected

from . import agents, rdp
from .closing import NONSENSE, UNREACHABLE
from .desk import Refused, Target
from .floor import Floor
from .rfb import RfbError
from .rfb.hypervisor import HypervisorHandshake, Stage


class Receiver(Protocol):
    """Who gets the machine's bytes once the handshake is over."""

    def from_machine(self, data: bytes) -> None: ...
    def machine_lost(self) -> None: ...
    def machine_full(self) -> None: ...
    def machine_ready(self) -> None: ...


class Machine(asyncio.Protocol):
    """The connection to one hypervisor's VNC server. Reading is paused between handshake and relay."""

    def __init__(self, receiver: Receiver, handshake: HypervisorHandshake | None, *, hello: bytes = b""):
        self._receiver: Receiver | None = receiver
        self._hello = hello
        self._handshake = None if hello else handshake
        self._changed = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if self._handshake is None:
            self._transport.pause_reading()
            self._settle(None)

    def data_received(self, data: bytes) -> None:
        assert self._handshake is not None and self._transport is not None
        before = self._handshake.stage
        try:
            answer = self._handshake.receive(data)
        except RfbError as error:
            self._settle(error)
            self._transport.abort()
            return
        if answer:
            self._transport.write(answer)
        if self._handshake.stage is not before and self._handshake.stage in (Stage.TLS, Stage.DONE):
            if self._handshake.stage is Stage.DONE:
                self._transport.pause_reading()
            self._settle(None)

    def _settle(self, error: Exception | None) -> None:
        if not self._changed.done():
            if error:
                self._changed.set_exception(error)
            else:
                self._changed.set_result(None)

    async def settle(self, target: Target, floor: Floor) -> None:
        """Wait until security is settled; wraps the connection in TLS when the target is remote."""
        await self._changed
        assert self._transport is not None
        if self._handshake is not None and self._handshake.stage is Stage.TLS:
            assert floor.hypervisor_tls is not None
            loop = asyncio.get_running_loop()
            self._changed = loop.create_future()
            self._handshake.tls_started()
            wrapped = await loop.start_tls(
                self._transport, self, floor.hypervisor_tls, server_hostname=target.host,
                ssl_handshake_timeout=floor.limits.handshake,
            )  # fmt: skip
            if wrapped is None:
                raise ConnectionError("closed during TLS")
            self._transport = wrapped
            await self._changed

    def relay(self, first: bytes) -> None:
        """From now on everything the machine sends goes to the receiver; `first` is sent to the machine."""
        assert self._transport is not None and self._receiver is not None
        early, self._handshake = self._handshake.rest if self._handshake else b"", None
        self._transport.set_protocol(_Relay(self, self._receiver))
        self._transport.write(self._hello + first)
        if early:
            self._receiver.from_machine(early)
        self._transport.resume_reading()

    def write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def pause_reading(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport and not self._transport.is_closing():
            self._transport.resume_reading()

    def abort(self) -> None:
        """Drop the connection at once; the receiver hears nothing more."""
        self._receiver = None
        if self._transport:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle(exc or ConnectionError("closed during the handshake"))
        if self._changed.done() and not self._changed.cancelled():
            self._changed.exception()
        if self._receiver:
            self._receiver.machine_lost()

    def pause_writing(self) -> None:
        if self._receiver:
            self._receiver.machine_full()

    def resume_writing(self) -> None:
        if self._receiver:
            self._receiver.machine_ready()


class _Relay(asyncio.Protocol):
    """Takes the transport over from Machine: the receiver's method is called with each read and nothing between."""

    def __init__(self, machine: Machine, receiver: Receiver):
        self.data_received = receiver.from_machine  # type: ignore[method-assign]
        self.pause_writing = machine.pause_writing  # type: ignore[method-assign]
        self.resume_writing = machine.resume_writing  # type: ignore[method-assign]
        self.connection_lost = machine.connection_lost  # type: ignore[method-assign]


async def dial(target: Target, receiver: Receiver, floor: Floor) -> Machine:
    """Connect to the machine's screen and settle security.

    Returns a connection that is paused until `relay`. Raises Refused with UNREACHABLE or NONSENSE; the caller
    sets the time limit.
    """
    loop = asyncio.get_running_loop()
    if target.rdp:
        target = Target(unix=await loop.run_in_executor(None, rdp.begin, target.rdp, floor.limits.remote_desktops))
    if needs_tls(target) and floor.hypervisor_tls is None:
        raise Refused(UNREACHABLE)
    machine: Machine | None = None

    def build() -> Machine:
        nonlocal machine
        machine = Machine(receiver, handshake_with(target), hello=target.hello)
        return machine

    try:
        if target.agent:
            keep_watch(await agents.connect(target, build(), seconds=floor.limits.handshake))
        elif target.unix:
            # uvloop's own transport copies what it read once more: a third of what a relayed byte costs.
            await aiofastnet.create_unix_connection(loop, build, sock=await connected(target.unix))
        else:
            transport, _ = await loop.create_connection(build, target.host, target.port)
            keep_watch(transport.get_extra_info("socket"))
        assert machine is not None
        await machine.settle(target, floor)
    except RfbError as error:
        if machine:
            machine.abort()
        raise Refused(NONSENSE) from error
    except OSError as error:
        if machine:
            machine.abort()
        raise Refused(UNREACHABLE) from error
    except BaseException:
        if machine:
            machine.abort()
        raise
    return machine


def needs_tls(target: Target) -> bool:
    """Whether the way there is protected by TLS alone."""
    return not (target.unix or target.agent or target.bare)


def handshake_with(target: Target) -> HypervisorHandshake:
    """What security is settled with whom is there."""
    return HypervisorHandshake(tls=needs_tls(target), password=target.password if target.bare else None)


def keep_watch(sock: socket.socket) -> None:
    """Let the kernel notice within half a minute that the other host is gone."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
