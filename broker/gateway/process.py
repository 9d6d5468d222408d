"""The gateway process: one event loop, one engine, sockets from a port of its own or handed over by the web process."""

import asyncio
import contextlib
import gc
import logging
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from .closing import RESTARTING
from .engines import make
from .floor import Floor
from .handover import Taker, somebody_takes
from .native.viewer import Viewers
from .watch import Watch

log = logging.getLogger(__name__)
_SWITCH = 0.0005
"""Seconds after which a thread that asks a database or writes a recording gives the interpreter to the relay."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Where consoles come from: any of them, at least one.

    `listen` is (host, port) for browsers, `native` for native clients, both with `tls` when there is one; `handover`
    the path of the unix socket on which the web process passes connections; `lifeline` a descriptor that reads
    end-of-file when the parent process is gone.
    """

    listen: tuple[str, int] | None = None
    native: tuple[str, int] | None = None
    tls: ssl.SSLContext | None = None
    handover: str = ""
    lifeline: int = -1
    linger: float = 0.0
    """Seconds within which running consoles are moved after SIGTERM; none without the parent."""


def run(floor: Floor, doors: Doors, *, engine: str = "picows", ready: Callable[[int], None] | None = None) -> None:
    """Serve until SIGTERM, SIGINT or the end of the lifeline; then move the consoles and go, within `linger` and 5 s.

    After SIGTERM nothing new is taken, and another gateway can take over the door before the consoles are told.

    `ready` is called once with the listening port (0 without one). Raises OSError when a door cannot be opened.
    """
    import uvloop

    sys.setswitchinterval(_SWITCH)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(floor, doors, engine, ready))
    floor.scribe.stop()
    floor.pool.shutdown(wait=True, cancel_futures=False)


async def _serve(floor: Floor, doors: Doors, name: str, ready: Callable[[int], None] | None) -> None:
    loop = asyncio.get_running_loop()
    stopping, hurry = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (hurry if stopping.is_set() else stopping).set()

    def stop_at_once() -> None:
        stopping.set()
        hurry.set()

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop_at_once)
    if doors.lifeline >= 0:
        loop.add_reader(doors.lifeline, stop_at_once)
    engine = make(name, floor)
    port, taker = 0, None
    if doors.listen:
        listener = socket.create_server(doors.listen, backlog=1024)
        listener.setblocking(False)
        port = listener.getsockname()[1]
        await engine.listen(listener, doors.tls)
    viewers = Viewers(floor)
    if doors.native:
        await viewers.listen(socket.create_server(doors.native, backlog=1024), doors.tls)
    if doors.handover:
        taker = Taker(doors.handover, engine, viewers)
        taker.start()
    watching = loop.create_task(Watch(floor).run())
    # What was imported stays for good; without it in every collection a long pause is a short one.
    gc.collect()
    gc.freeze()
    log.info("console gateway ready: engine %s, port %d, handover %s", name, port, doors.handover or "none")
    if ready:
        ready(port)
    await stopping.wait()
    log.info("console gateway stops; %d consoles are moved", len(floor.consoles))
    floor.draining = True
    if taker:
        taker.stop()
    await engine.stop_listening()
    viewers.stop_listening()
    await _give_way(floor, doors, hurry)
    if doors.lifeline >= 0:
        loop.remove_reader(doors.lifeline)
    watching.cancel()
    deadline = loop.time() + floor.limits.drain
    while engine.open_connections() + viewers.open_connections() and loop.time() < deadline:
        # Again and again: a ticket that is being redeemed now becomes a console a moment later.
        floor.consoles.end_all(RESTARTING)
        await asyncio.sleep(0.02)


async def _give_way(floor: Floor, doors: Doors, hurry: asyncio.Event) -> None:
    """Let consoles go on until a gateway that they can move to is there, or move them one after the other.

    A handover's successor takes the same path. Of gateways with ports of their own only the proxy knows: they run side
    by side, and the others are not to get all consoles in one moment.
    """
    if hurry.is_set() or not doors.linger:
        return
    until = time.monotonic() + doors.linger
    if doors.handover:
        while not hurry.is_set() and time.monotonic() < until and not somebody_takes(doors.handover):
            await asyncio.sleep(0.05)
        return
    moving = floor.consoles.all()
    for console in moving:
        console.end(RESTARTING)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(hurry.wait(), doors.linger / len(moving))
