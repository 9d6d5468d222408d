"""A physical PC's screen through both engines: QEMU's VNC server with a password plays the PC, in a namespace."""

import asyncio

import pytest

from broker.gateway import closing as why
from broker.gateway.desk import Target

from .fakes import Browser, start_gateway, stop_gateway

pytestmark = pytest.mark.lab
PASSWORD = "s3cret-x"


@pytest.fixture
def pc():
    from tests.lab.pc import LabPc

    with LabPc() as pc:
        pc.show_screen(password=PASSWORD)
        yield pc


async def greeted(engine: str, target: Target) -> bytes | why.Closing:
    """The name of the screen as the browser hears it, or why it was sent away."""
    gateway = await start_gateway(engine)
    try:
        async with gateway.open(gateway.desk.issue(target)) as ws:
            browser = Browser(ws)
            try:
                assert await browser.read(12) == b"RFB 003.008\n"
                await ws.send(b"RFB 003.008\n")
                assert await browser.read(2) == b"\x01\x01", "the browser is asked for no password"
                await ws.send(b"\x01")
                assert await browser.read(4) == bytes(4)
                await ws.send(b"\x01")
                size = (await browser.read(24))[20:]
                return await browser.read(int.from_bytes(size, "big"))
            except Exception:
                await ws.wait_closed()
                return why.BY_CODE[ws.close_code]
    finally:
        await stop_gateway(gateway)


@pytest.mark.parametrize("engine", ["picows", "websockify"])
def test_the_gateway_signs_in_at_the_pc_and_the_browser_does_not(pc, engine):
    target = Target(host=pc.address, port=5900, bare=True, password=PASSWORD)
    assert asyncio.run(greeted(engine, target)) == b"QEMU"
    wrong = Target(host=pc.address, port=5900, bare=True, password="wrong")
    assert asyncio.run(greeted(engine, wrong)) is why.NONSENSE
    assert asyncio.run(greeted(engine, Target(host=pc.address, port=5900, bare=True))) is why.NONSENSE
    assert "s3cret" not in repr(target)


@pytest.mark.parametrize("engine", ["picows", "websockify"])
def test_a_machine_of_a_hypervisor_is_never_reached_so(pc, engine):
    assert asyncio.run(greeted(engine, Target(host=pc.address, port=5900))) is why.UNREACHABLE
