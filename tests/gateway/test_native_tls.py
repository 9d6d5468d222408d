"""Native clients that speak TLS: with the gateway, which looks into it, or with the machine's host, unseen."""

import asyncio
import base64
import contextlib
import socket
import ssl

import pytest
import pytest_asyncio

from broker.connections.native import place
from broker.gateway import closing as why
from broker.gateway.desk import Terms
from broker.gateway.floor import browser_context
from broker.gateway.native.viewer import Viewers

from .fakes import make_pki, start_gateway, stop_gateway, until
from .spice_fakes import CONNECTION, TICKET, FakeSpice, Pipe, link
from .test_door import public_port
from .test_spice_sessions import DISPLAY, ID, INPUTS, MAIN, USB, main_channel

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@pytest.fixture(scope="module")
def own_pki(tmp_path_factory):
    """The gateway's own certificate; `pki` is the hypervisor's, of another authority."""
    return make_pki(tmp_path_factory.mktemp("own"))


def trusting(folder) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "ca-cert.pem"))


class Tls:
    """Clients of a public port, or of a gateway's own port for them."""

    def __init__(self, gateway, port, trusted):
        self.desk, self.floor, self.port, self.trusted = gateway.desk, gateway.floor, port, trusted

    def issue(self, target, **options) -> str:
        return self.desk.issue(target, kind="spice", via="native", machine=ID, **options)

    async def connect(self, secret: str, port: int = 5901):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        to, credentials = f"{place(ID)}:{port}", base64.b64encode(f"berth:{secret}".encode()).decode()
        writer.write(f"CONNECT {to} HTTP/1.0\r\nProxy-Authorization: Basic {credentials}\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert answer.split()[1] == b"200"
        return reader, writer

    @contextlib.asynccontextmanager
    async def open(self, secret: str, trusted: ssl.SSLContext | None = None):
        reader, writer = await self.connect(secret)
        try:
            await writer.start_tls(trusted or self.trusted, server_hostname="localhost")

            async def send(data: bytes) -> None:
                writer.write(data)

            yield Pipe(lambda: reader.read(65536), send)
        finally:
            writer.close()


@pytest_asyncio.fixture(params=["public", "own"])
async def way(request, tmp_path, own_pki):
    context = browser_context(str(own_pki / "server-cert.pem"), str(own_pki / "server-key.pem"))
    if request.param == "public":
        async with public_port("picows", tmp_path) as public:
            public.gateway.desk.own_tls = context
            yield Tls(public.gateway, public.port, trusting(own_pki))
        return
    gateway = await start_gateway("picows", handshake=2.0)
    gateway.desk.own_tls = context
    listener = socket.create_server(("127.0.0.1", 0))
    viewers = Viewers(gateway.floor)
    await viewers.listen(listener)
    yield Tls(gateway, listener.getsockname()[1], trusting(own_pki))
    viewers.stop_listening()
    await stop_gateway(gateway)


@pytest_asyncio.fixture
async def spice(tmp_path):
    machine = await FakeSpice(tmp_path / "spice").start()
    yield machine
    await machine.stop()


@pytest_asyncio.fixture
async def sealed(tmp_path, pki, server_tls):
    """A machine whose SPICE speaks TLS by itself."""
    machine = await FakeSpice(tmp_path / "sealed", tls=server_tls).start()
    yield machine
    await machine.stop()


async def test_tls_that_ends_here_is_looked_into(way, spice):
    """5901 is no way around what the policy says: the list of channels lacks USB, and asking for it is refused."""
    secret = way.issue(spice.target, terms=Terms(usb=False))
    async with way.open(secret) as main:
        _begun, listed = await main_channel(main)
        assert bytes([USB, 0]) not in [listed[at : at + 2] for at in range(4, len(listed), 2)]
        async with way.open(secret) as inputs:
            await inputs.shake(INPUTS, 0, CONNECTION)
            block = bytes(range(256)) * 1000
            await inputs.send(block)
            got = b""
            while len(got) < len(block):
                got += (await inputs.message())[1]
            assert got == block
        async with way.open(secret) as usb:
            with pytest.raises(ConnectionError):
                await usb.shake(USB, 0, CONNECTION)
        (console,) = way.floor.consoles.all()
        assert console.alive().idle is not None, "typing is seen"
    assert [kind for _, kind, _ in spice.links] == [MAIN, INPUTS]
    await until(lambda: way.desk.ended)


async def test_what_passes_unseen_may_come_to_another_gateway(way, sealed, pki, tmp_path):
    secret = way.issue(sealed.target, blind=True)
    host = trusting(pki)
    (tmp_path / "two").mkdir()
    async with public_port("picows", tmp_path / "two", desk=way.desk) as public:
        other = Tls(public.gateway, public.port, host)
        async with way.open(secret, host) as main:
            await main_channel(main)
            async with other.open(secret) as display, other.open(secret) as inputs:
                await display.shake(DISPLAY, 0, CONNECTION)
                await inputs.shake(INPUTS, 0, CONNECTION)
                assert len(other.floor.consoles) == 1
            await until(lambda: not other.floor.consoles)
            assert not way.desk.ended
    await until(lambda: way.desk.ended)


async def test_tls_that_ends_at_the_machine_passes_unseen(way, sealed, pki):
    secret = way.issue(sealed.target, blind=True)
    host = trusting(pki)
    async with way.open(secret, host) as main:
        await main_channel(main)
        async with way.open(secret, host) as display:
            await display.shake(DISPLAY, 0, CONNECTION)
            (console,) = way.floor.consoles.all()
            before = console.alive()
            assert before.bytes_down > 0 and before.idle is None
            console.end(why.ENDED)
            with pytest.raises(ConnectionError):
                while True:
                    await display.message()
    await until(lambda: way.desk.ended)
    ((alive, closing),) = way.desk.ended
    assert closing is why.ENDED and alive.bytes_down >= before.bytes_down
    assert [kind for _, kind, _ in sealed.links] == [MAIN, DISPLAY]
    # the ticket is used up
    with pytest.raises((OSError, ssl.SSLError)):
        async with way.open(secret, host):
            pass


async def test_when_the_main_channel_goes_the_session_is_over(way, sealed, pki):
    secret = way.issue(sealed.target, blind=True)
    async with contextlib.AsyncExitStack() as stack:
        async with way.open(secret, trusting(pki)) as main:
            await main_channel(main)
            display = await stack.enter_async_context(way.open(secret, trusting(pki)))
            await display.shake(DISPLAY, 0, CONNECTION)
        await until(lambda: way.desk.ended)
        with pytest.raises(ConnectionError):
            while True:
                await display.message()
    assert not way.floor.consoles


async def test_a_client_does_not_choose_to_pass_unseen(way, sealed, spice, pki):
    """Whether it begins with TLS is its word; who ends TLS is the ticket's."""
    secret = way.issue(sealed.target)
    with pytest.raises(ssl.SSLCertVerificationError):
        async with way.open(secret, trusting(pki)):
            pass
    assert not sealed.links and way.desk.tickets, "the gateway answered, not the machine"
    # a policy that changed between the two looks at the ticket
    secret = way.issue(sealed.target)
    way.desk.leg = lambda presented: None
    with pytest.raises((OSError, ssl.SSLError)):
        async with way.open(secret, trusting(pki)):
            pass
    await until(lambda: way.desk.ended)
    assert way.desk.ended[0][1] is why.WITHHELD
    assert not sealed.links and not way.floor.consoles
    # and who could pass unseen may be looked into
    secret = way.issue(spice.target, blind=True)
    reader, writer = await way.connect(secret, 5900)
    writer.write(link(MAIN))
    await asyncio.wait_for(reader.readexactly(16 + 182), 5)
    writer.write(TICKET)
    assert await reader.readexactly(4) == bytes(4)
    writer.close()
    assert [kind for _, kind, _ in spice.links] == [MAIN]


async def test_further_channels_come_within_seconds_or_not_at_all(tmp_path, own_pki, server_tls, pki):
    machine = await FakeSpice(tmp_path / "sealed", tls=server_tls).start()
    async with public_port("picows", tmp_path, channels_within=0.0) as public:
        public.gateway.desk.own_tls = server_tls
        way = Tls(public.gateway, public.port, trusting(pki))
        secret = way.issue(machine.target, blind=True)
        async with way.open(secret) as main:
            await main_channel(main)
            with pytest.raises((OSError, ssl.SSLError)):
                async with way.open(secret):
                    pass
            assert len(way.floor.consoles) == 1, "the session goes on"
    await machine.stop()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"])
async def test_who_begins_no_tls_is_sent_away(way, spice, sent):
    reader, writer = await way.connect(way.issue(spice.target))
    writer.write(sent)
    await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert way.desk.tickets and not spice.links
