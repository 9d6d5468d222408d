"""Handshakes that drip, hang or stop, on either side: each ends in time, with a reason, and leaves nothing."""

import asyncio
import time

import pytest

from .fakes import Browser, FakeMachine, until, upgrade
from .test_engine_contract import closing_of

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def test_a_drip_fed_upgrade_times_out(gateway):
    """S13."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    started = time.monotonic()

    async def drip():
        for byte in upgrade("x" * 43):
            writer.write(bytes([byte]))
            await asyncio.sleep(0.1)

    dripping = asyncio.create_task(drip())
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 8)
    dripping.cancel()
    assert time.monotonic() - started < 4
    await until(lambda: not gateway.engine.open_connections())


async def test_a_browser_that_never_answers_the_handshake_times_out(gateway, machine):
    """S13, F34."""
    started = time.monotonic()
    async with gateway.open(gateway.desk.issue(machine.target)) as ws:
        await ws.recv()
        await asyncio.wait_for(ws.wait_closed(), 8)
    assert time.monotonic() - started < 4
    await until(lambda: gateway.desk.ended)


async def test_a_browser_that_drips_its_handshake_times_out(gateway, machine):
    """S12, S13: one byte at a time."""
    async with gateway.open(gateway.desk.issue(machine.target)) as ws:
        await ws.recv()

        async def drip():
            for byte in b"RFB 003.008\n" * 10:
                await ws.send(bytes([byte]))
                await asyncio.sleep(0.4)

        dripping = asyncio.create_task(drip())
        await asyncio.wait_for(ws.wait_closed(), 8)
        dripping.cancel()
    assert ws.close_reason == "slow"
    await until(lambda: gateway.desk.ended)


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("nonsense", "nonsense"),
        ("stops", "unreachable"),
        ("password", "nonsense"),
        ("silent", "slow"),
        ("hangs", "slow"),
        ("drips", "slow"),
    ],
)
async def test_a_machine_that_misbehaves_ends_the_console_with_a_reason(gateway, tmp_path, script, name):
    """S12, seen from the machine's side."""
    machine = await FakeMachine(tmp_path / "bad", script=script).start()
    async with gateway.open(gateway.desk.issue(machine.target)) as ws:
        got = (await closing_of(Browser(ws)))[1]
    # An engine with one thread a console cannot tell a silent machine from one that is not there.
    assert got == name or (name, got) == ("slow", "unreachable")
    await until(lambda: gateway.desk.ended)
    await machine.stop()
