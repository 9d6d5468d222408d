"""Attacks on the gateway in numbers: crowds, half-open sockets, promises of bytes that never come, machines that stop.

The rows (S11, …) are those of the list of attacks in docs/console-attacks.md.
"""

import asyncio
import contextlib
import gc
import os
import socket
import struct
from pathlib import Path

import pytest

from broker.gateway import closing as why
from broker.gateway.desk import Target

from .fakes import frame, read_close, start_gateway, stop_gateway, until, upgrade
from .spice_fakes import link, reply

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120)]
CROWD = 500
HELLO = b"RFB 003.008\n\x01\x01" + bytes(4) + struct.pack(">HH16sI", 4, 4, bytes(16), 5) + b"fake!"


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def quiet(gateway) -> int:
    """Wait until nobody is connected any more; how many descriptors are left."""
    await until(lambda: not gateway.engine.open_connections(), 20)
    await asyncio.sleep(0.1)
    return descriptors()


async def test_five_hundred_sockets_with_one_ticket_are_one_console(gateway, machine):
    """S11."""
    secret = gateway.desk.issue(machine.target)
    before = descriptors()
    opened, refused = [], []

    async def knock() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(upgrade(secret))
        try:
            assert (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).startswith(b"HTTP/1.1 101 ")
            first = await asyncio.wait_for(reader.readexactly(1), 60)
            if first == b"\x82":
                opened.append(writer)
                return
            refused.append((await asyncio.wait_for(reader.read(100), 60))[3:])
        except (ConnectionError, asyncio.IncompleteReadError):
            refused.append(b"")
        writer.close()

    for _ in range(CROWD // 50):
        await asyncio.gather(*(knock() for _ in range(50)))
    assert len(opened) == 1 and len(refused) == CROWD - 1
    assert {reason for reason in refused if reason} == {b"ticket"}
    assert len(machine.writers) == 1
    opened[0].close()
    assert await quiet(gateway) <= before + 2


async def test_promised_bytes_take_no_memory_until_they_come(gateway, machine):
    """S12. Forty browsers announce a frame of the largest size and drip it: together 40 MiB if they were believed."""
    writers = []
    before = resident_mib()
    for _ in range(40):
        reader, writer = await gateway.raw(gateway.desk.issue(machine.target))
        await reader.readexactly(14)
        writer.write(frame(b"", length=gateway.floor.limits.frame)[:14])
        writers.append(writer)
    for _ in range(20):
        for writer in writers:
            writer.write(b"\0")
        await asyncio.sleep(0.01)
    assert resident_mib() - before < 30
    for writer in writers:
        writer.transport.abort()
    await quiet(gateway)


async def test_both_sides_close_at_the_same_time(gateway, machine, caplog):
    """S12. A close frame, a broken one behind it, and the end from inside, in every order."""
    for number in range(12):
        reader, writer = await gateway.raw(gateway.desk.issue(machine.target))
        await reader.readexactly(14)
        end = lambda: gateway.floor.consoles.end_all(why.ENDED)  # noqa: E731
        close = lambda writer=writer: writer.write(frame(b"\x03\xe8", opcode=8))  # noqa: E731
        rubbish = lambda writer=writer: writer.write(frame(b"", length=1 << 63) * 2)  # noqa: E731
        for step in ((end, close, rubbish), (close, rubbish, end), (rubbish, end, close))[number % 3]:
            step()
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await read_close(reader)
        writer.close()
    await until(lambda: len(gateway.desk.ended) == 12)
    await quiet(gateway)
    assert "Traceback" not in caplog.text


async def test_sockets_that_say_nothing_are_closed(gateway):
    """S13: half-open sockets."""
    before = descriptors()
    pairs = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(100)]
    for number, (_reader, writer) in enumerate(pairs):
        if number % 2:
            writer.write(upgrade("x" * 43)[:-3])
    for reader, writer in pairs:
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 30)
        writer.close()
    assert await quiet(gateway) <= before + 2


async def test_a_machine_that_stops_after_any_byte_of_its_handshake_ends_the_console_at_once(gateway, tmp_path):
    """S12, from the machine's side: no console stays half open, and the browser is told why."""
    before = descriptors()
    lengths = [*range(19)]  # after that the handshake is over and the console is open

    async def stops(length: int) -> str:
        path = tmp_path / f"stops-{length}"

        async def serve(_reader, writer):
            writer.write(HELLO[:length])
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()

        async with await asyncio.start_unix_server(serve, str(path)):
            target = Target(unix=str(path))
            reader, writer = await gateway.raw(gateway.desk.issue(target))
            told = (await read_close(reader))[1]
            writer.close()
            return told

    told = await asyncio.gather(*(stops(length) for length in lengths))
    assert set(told) <= {"unreachable", "lost", "slow"}
    assert await quiet(gateway) <= before + 2


async def test_a_machine_that_answers_spice_where_vnc_is_asked(gateway, tmp_path):
    """S12, from the machine's side."""

    async def serve(reader, writer):
        writer.write(reply())
        await reader.read()
        writer.close()

    path = tmp_path / "spice"
    async with await asyncio.start_unix_server(serve, str(path)):
        reader, writer = await gateway.raw(gateway.desk.issue(Target(unix=str(path))))
        assert (await read_close(reader))[1] == "nonsense"
        writer.close()
    await until(lambda: gateway.desk.ended)


async def test_a_machine_that_stops_within_its_spice_handshake_ends_the_channel_at_once(tmp_path):
    """S12, from the machine's side: every fifth byte of what a SPICE server says before its channel is open."""
    gateway = await start_gateway("picows", handshake=5.0)
    before = descriptors()
    said = reply() + bytes(4)

    async def stops(length: int) -> str:
        path = tmp_path / f"stops-{length}"

        async def serve(_reader, writer):
            writer.write(said[:length])
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            writer.close()

        async with await asyncio.start_unix_server(serve, str(path)):
            secret = gateway.desk.issue(Target(unix=str(path)), kind="spice")
            async with gateway.open(secret, path="/console/spice") as ws:
                await ws.send(link(1))
                await asyncio.wait_for(ws.wait_closed(), 20)
                return ws.close_reason

    told = await asyncio.gather(*(stops(length) for length in range(0, len(said), 5)))
    assert set(told) <= {"unreachable", "lost"}
    await until(lambda: len(gateway.desk.ended) == len(told))
    assert await quiet(gateway) <= before + 2
    await stop_gateway(gateway)


async def test_many_at_once_at_a_machine_that_lets_few_wait(gateway, tmp_path):
    """QEMU's own sockets have a queue of one: whoever comes while it is full waits, and is not sent away."""
    slow = socket.socket(socket.AF_UNIX)
    slow.bind(str(tmp_path / "slow"))
    slow.listen(1)
    slow.setblocking(False)
    taken: list[socket.socket] = []

    async def take() -> None:
        while True:
            await asyncio.sleep(0.02)
            with contextlib.suppress(BlockingIOError):
                taken.append(slow.accept()[0])
                taken[-1].send(HELLO)

    taking = asyncio.create_task(take())
    async with contextlib.AsyncExitStack() as stack:
        target = Target(unix=str(tmp_path / "slow"))
        await asyncio.gather(*(stack.enter_async_context(gateway.shaken(target)) for _ in range(12)))
    taking.cancel()
    for connection in (*taken, slow):
        connection.close()
