"""SPICE sessions: one ticket, several channels, in the browser and by CONNECT through the public port."""

import asyncio
import base64
import contextlib
import os
import struct

import pytest
import pytest_asyncio
from websockets.exceptions import ConnectionClosed, InvalidStatus

from broker.connections.native import place
from broker.gateway import closing as why
from broker.gateway.desk import Terms

from .fakes import FakeMachine, start_gateway, stop_gateway, until
from .spice_fakes import CHANNELS, CONNECTION, TICKET, FakeSpice, Pipe, channels_list, init, link, message
from .test_door import public_port

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
ID = "6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e01"
OTHER = "6f1e2a0c-0b5e-4d3f-9a58-6a3c2f1d0e02"
MAIN, DISPLAY, INPUTS, CURSOR, USB = 1, 2, 3, 4, 9


class Browser:
    """SPICE over websockets of the picows engine."""

    name = "browser"

    def __init__(self, gateway):
        self.gateway, self.desk, self.floor = gateway, gateway.desk, gateway.floor

    def issue(self, target, **options) -> str:
        return self.desk.issue(target, kind="spice", **options)

    @contextlib.asynccontextmanager
    async def open(self, secret):
        async with self.gateway.open(secret, path="/console/spice") as ws:

            async def receive() -> bytes:
                try:
                    return await ws.recv()
                except ConnectionClosed:
                    return b""

            yield Pipe(receive, ws.send)

    async def reason(self, secret, first: bytes) -> str:
        """Why a channel that begins so is closed."""
        async with self.gateway.open(secret, path="/console/spice") as ws:
            await ws.send(first)
            await asyncio.wait_for(ws.wait_closed(), 10)
            return ws.close_reason


class Native:
    """SPICE by CONNECT to the public port."""

    name = "native"

    def __init__(self, public):
        self.gateway, self.desk, self.floor, self.port = public, public.gateway.desk, public.gateway.floor, public.port

    def issue(self, target, **options) -> str:
        return self.desk.issue(target, kind="spice", via="native", machine=ID, **options)

    async def connect(self, secret: str, to: str = f"{place(ID)}:5900"):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        credentials = base64.b64encode(f"berth:{secret}".encode()).decode()
        writer.write(
            f"CONNECT {to} HTTP/1.0\r\nHost: {to}\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode()
        )
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        return int(answer.split()[1]), reader, writer

    @contextlib.asynccontextmanager
    async def open(self, secret):
        status, reader, writer = await self.connect(secret)
        assert status == 200

        async def send(data: bytes) -> None:
            writer.write(data)

        try:
            yield Pipe(lambda: reader.read(65536), send)
        finally:
            writer.close()


@pytest_asyncio.fixture(params=["browser", "native-picows", "native-websockify"])
async def way(request, tmp_path):
    if request.param == "browser":
        gateway = await start_gateway("picows", handshake=2.0)
        yield Browser(gateway)
        await stop_gateway(gateway)
    else:
        async with public_port(request.param.partition("-")[2], tmp_path) as public:
            yield Native(public)


@pytest_asyncio.fixture
async def spice(tmp_path):
    machine = await FakeSpice(tmp_path / "spice").start()
    yield machine
    await machine.stop()


async def main_channel(pipe: Pipe) -> tuple[bytes, bytes]:
    await pipe.shake(MAIN)
    (first, begun), (second, listed) = await pipe.message(), await pipe.message()
    assert (first, second) == (103, 104)
    return begun, listed


async def test_one_ticket_opens_one_session_of_several_channels(way, spice):
    secret = way.issue(spice.target)
    async with way.open(secret) as main, contextlib.AsyncExitStack() as others:
        begun, listed = await main_channel(main)
        assert message(103, begun) == init()
        assert message(104, listed) == channels_list()
        display, inputs, _cursor = [await others.enter_async_context(way.open(secret)) for _ in range(3)]
        await display.shake(DISPLAY, 0, CONNECTION)
        assert (await display.message())[0] == 314
        await inputs.shake(INPUTS, 0, CONNECTION)
        block = os.urandom(200_000)
        await inputs.send(block)
        got = b""
        while len(got) < len(block):
            got += (await inputs.message())[1]
        assert got == block
        assert spice.links == [(0, MAIN, 0), (CONNECTION, DISPLAY, 0), (CONNECTION, INPUTS, 0)]
        (console,) = way.floor.consoles.all()
        alive = console.alive()
        assert alive.picture is not None
        assert alive.idle is not None and alive.idle < 30
        assert alive.bytes_up > 200_000
        assert not way.desk.tickets, "the ticket is used up"
    await until(lambda: way.desk.ended)
    (ended,) = way.desk.ended
    assert ended[1] is why.FINISHED
    assert ended[0].bytes_down > 200_000
    assert len(way.floor.consoles) == 0


async def refused(way, secret, kind, number=0, connection=0) -> None:
    async with way.open(secret) as pipe:
        with pytest.raises(ConnectionError):
            await pipe.shake(kind, number, connection)


async def test_what_a_ticket_does_not_open(way, spice):
    secret = way.issue(spice.target)
    await refused(way, secret, DISPLAY, 0, CONNECTION)
    async with way.open(secret) as main:
        await main_channel(main)
        await refused(way, secret, MAIN)
        await refused(way, secret, MAIN, 0, CONNECTION)
        await refused(way, secret, DISPLAY, 0, CONNECTION + 1)
        await refused(way, secret, DISPLAY, 0, 0)
        await refused(way, way.issue(spice.target), DISPLAY, 0, CONNECTION)
        async with way.open(secret) as display:
            await display.shake(DISPLAY, 0, CONNECTION)
            await refused(way, secret, DISPLAY, 0, CONNECTION)
    await until(lambda: way.desk.ended)
    await refused(way, secret, MAIN)
    await refused(way, secret, DISPLAY, 0, CONNECTION)
    assert [kind for _, kind, _ in spice.links] == [MAIN, DISPLAY], "nothing refused reached the machine"


async def test_fifty_at_once_with_one_ticket_are_one_session(way, spice):
    """S04."""
    secret = way.issue(spice.target)

    async def attempt() -> bool:
        async with way.open(secret) as pipe:
            try:
                await main_channel(pipe)
            except ConnectionError:
                return False
            await asyncio.sleep(0.3)
            return True

    assert sum(await asyncio.gather(*(attempt() for _ in range(50)))) == 1


async def test_the_ticket_is_burnt_after_some_seconds_and_channels_are_counted(way, spice):
    secret = way.issue(spice.target)
    object.__setattr__(way.floor.limits, "channels", 3)
    async with way.open(secret) as main, way.open(secret) as one, way.open(secret) as two:
        await main_channel(main)
        await one.shake(USB, 0, CONNECTION)
        await two.shake(USB, 1, CONNECTION)
        await refused(way, secret, USB, 2, CONNECTION)
    await until(lambda: not way.floor.consoles)
    secret = way.issue(spice.target)
    object.__setattr__(way.floor.limits, "channels_within", 0.0)
    async with way.open(secret) as main:
        await main_channel(main)
        await refused(way, secret, DISPLAY, 0, CONNECTION)


async def test_who_looks_on_gets_no_channel_that_acts(way, spice):
    secret = way.issue(spice.target, view_only=True)
    async with way.open(secret) as main:
        _, listed = await main_channel(main)
        assert message(104, listed) == channels_list(((1, 0), (2, 0), (4, 0)))
        await refused(way, secret, INPUTS, 0, CONNECTION)
        await refused(way, secret, USB, 0, CONNECTION)
        async with way.open(secret) as display:
            await display.shake(DISPLAY, 0, CONNECTION)
            await main.send(message(107, b"paste") + message(104))
            assert (await main.message()) == (113, message(104)), "the agent heard nothing"


async def test_devices_are_withheld_by_policy(way, spice):
    secret = way.issue(spice.target, terms=Terms(usb=False))
    async with way.open(secret) as main:
        _, listed = await main_channel(main)
        assert message(104, listed) == channels_list(tuple(pair for pair in CHANNELS if pair[0] != USB))
        await refused(way, secret, USB, 0, CONNECTION)
        async with way.open(secret) as inputs:
            await inputs.shake(INPUTS, 0, CONNECTION)


async def test_ending_a_session_cuts_every_channel(way, spice):
    secret = way.issue(spice.target)
    async with way.open(secret) as main, way.open(secret) as display:
        await main_channel(main)
        await display.shake(DISPLAY, 0, CONNECTION)
        (console,) = way.floor.consoles.all()
        way.floor.consoles.end({console.alive().session: why.ENDED})
        for pipe in (main, display):
            with pytest.raises(ConnectionError):
                while True:
                    await pipe.read(1)
        await until(lambda: way.desk.ended)
        assert way.desk.ended[0][1] is why.ENDED


@pytest.mark.parametrize(("script", "reason"), [("nonsense", why.NONSENSE), ("stops", why.LOST), ("silent", why.SLOW)])
async def test_a_hypervisor_that_stops_in_the_middle_or_talks_nonsense(way, tmp_path, script, reason):
    machine = await FakeSpice(tmp_path / "bad", script=script).start()
    async with way.open(way.issue(machine.target)) as pipe:
        await pipe.send(link(MAIN))
        with pytest.raises(ConnectionError):
            await pipe.read(1000)
    await until(lambda: way.desk.ended)
    assert way.desk.ended[0][1] is reason
    await machine.stop()


@pytest.mark.parametrize(
    "first",
    [b"RFB 003.008\n", struct.pack("<4sIII", b"REDQ", 2, 2, 2**31 + 1), link(1) + TICKET, link(200)],
    ids=["rfb", "over 2^31", "too early", "unknown"],
)
async def test_a_client_that_talks_nonsense_uses_no_ticket(way, spice, first):
    secret = way.issue(spice.target)
    async with way.open(secret) as pipe:
        await pipe.send(first)
        with pytest.raises(ConnectionError):
            await pipe.read(10_000)
    assert way.desk.tickets, "it was not looked at"
    assert not spice.links


async def test_a_drip_fed_or_silent_client_is_sent_away(way, spice):
    """S13."""
    async with way.open(way.issue(spice.target)) as pipe:
        with pytest.raises(ConnectionError):
            for byte in link(MAIN):
                await pipe.send(bytes([byte]))
                if byte == link(MAIN)[7]:
                    break
            await pipe.read(10_000)
    await until(lambda: not way.floor.consoles)


async def test_a_slow_client_does_not_fill_the_memory(way, tmp_path):
    machine = await FakeSpice(tmp_path / "slow").start()
    secret = way.issue(machine.target)
    async with way.open(secret) as main:
        await main_channel(main)
        async with way.open(secret) as inputs:
            await inputs.shake(INPUTS, 0, CONNECTION)
            block = os.urandom(1 << 16)
            await asyncio.wait_for(asyncio.gather(*(inputs.send(block) for _ in range(8))), 10)
            got = 0
            while got < 8 * len(block):
                got += len((await inputs.message())[1])
    await machine.stop()


@pytest_asyncio.fixture
async def in_browser():
    gateway = await start_gateway("picows", handshake=2.0)
    yield Browser(gateway)
    await stop_gateway(gateway)


@pytest_asyncio.fixture
async def native(tmp_path):
    async with public_port("picows", tmp_path) as public:
        yield Native(public)


async def test_a_ticket_of_one_kind_opens_nothing_of_another(in_browser, native, spice, tmp_path):
    """S06: of one channel or protocol for another."""
    vnc = await FakeMachine(tmp_path / "vnc").start()
    assert await in_browser.reason(in_browser.desk.issue(vnc.target), link(MAIN)) == "foreign"
    async with in_browser.gateway.open(in_browser.issue(spice.target)) as ws:
        await asyncio.wait_for(ws.wait_closed(), 10)
        assert ws.close_reason == "foreign", "a SPICE ticket at the address of VNC"
    await refused(native, native.desk.issue(spice.target, kind="spice"), MAIN)
    await refused(native, native.desk.issue(spice.target, kind="spice", via="native", machine=OTHER), MAIN)
    assert not spice.links
    await vnc.stop()


async def test_another_sign_in_opens_no_further_channel(in_browser, spice):
    """S06."""
    secret = in_browser.issue(spice.target)
    async with in_browser.open(secret) as main:
        await main_channel(main)
        async with in_browser.gateway.open(secret, path="/console/spice", key="somebody-else") as ws:
            await ws.send(link(DISPLAY, 0, CONNECTION))
            await asyncio.wait_for(ws.wait_closed(), 10)
            assert ws.close_reason == "ticket"


async def test_the_address_is_guarded_like_the_other(in_browser, spice):
    """S01, S02, S09."""
    secret = in_browser.issue(spice.target)
    for status, options in ((403, {"origin": "http://evil.example"}), (401, {"key": None}),
                            (400, {"path": f"/console/spice?token={secret}"})):  # fmt: skip
        with pytest.raises(InvalidStatus) as info:
            async with in_browser.gateway.open(secret, **{"path": "/console/spice", **options}):
                pass
        assert info.value.response.status_code == status


async def test_websockify_says_that_it_carries_no_spice(spice):
    gateway = await start_gateway("websockify")
    with pytest.raises(InvalidStatus) as info:
        async with gateway.open(gateway.desk.issue(spice.target, kind="spice"), path="/console/spice"):
            pass
    assert info.value.response.status_code == 501
    assert gateway.desk.tickets
    await stop_gateway(gateway)


@pytest.mark.parametrize("to", ["127.0.0.1:22", f"{ID}.berth.invalid:22", "evil.example:80"])
async def test_connect_leads_nowhere_else(native, spice, to):
    """S15: the client names no host."""
    secret = native.issue(spice.target)
    status, reader, writer = await native.connect(secret, to)
    assert status == 403
    assert secret.encode() not in await reader.read()
    writer.close()
    assert native.desk.tickets


async def test_connect_without_end_or_with_nonsense(native):
    for sent, status in ((b"CONNECT " + b"x" * 9000, 431), (b"CONNECT x y z\r\n\r\n", 400)):
        reader, writer = await asyncio.open_connection("127.0.0.1", native.port)
        writer.write(sent)
        assert int((await asyncio.wait_for(reader.readline(), 5)).split()[1]) == status
        writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", native.port)
    writer.write(b"CONN")
    await asyncio.wait_for(reader.read(), 5)
    writer.close()


async def test_pages_are_served_as_before(native):
    reader, writer = await asyncio.open_connection("127.0.0.1", native.port)
    for piece in (b"C", b"O", b"PY /x HTTP/1.1\r\nHost: x\r\n\r\n"):
        writer.write(piece)
        await asyncio.sleep(0.01)
    assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"200"
    writer.close()
