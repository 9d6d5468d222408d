"""One public port: pages are served here, consoles by the gateway, whichever engine it has."""

import asyncio
import contextlib
import os
import socket

import pytest
import pytest_asyncio
import uvicorn

from broker.gateway.door import door
from broker.gateway.handover import Giver, Taker
from broker.gateway.native.viewer import Viewers

from .fakes import Gateway, start_gateway, stop_gateway, until, upgrade

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def pages(scope, receive, send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "live"})
        await send({"type": "websocket.close"})
        return
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = f"{scope['method']} {scope['path']} {len(body)}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


class Public:
    def __init__(self, gateway: Gateway, taker: Taker, port: int):
        self.gateway, self.taker, self.port = gateway, taker, port
        self.through = Gateway(gateway.engine, gateway.floor, port, None)


@pytest_asyncio.fixture
async def public(engine_name, tmp_path):
    async with public_port(engine_name, tmp_path) as port:
        yield port


@contextlib.asynccontextmanager
async def public_port(engine_name, tmp_path, **limits):
    gateway = await start_gateway(engine_name, **{"handshake": 2.0, **limits})
    path = str(tmp_path / "gateway.sock")
    taker = Taker(path, gateway.engine, Viewers(gateway.floor))
    taker.start()
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        pages, http=door(path, first_request=1.0), lifespan="off", log_config=None, ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    serving = asyncio.create_task(server.serve([listener]))
    await until(lambda: server.started)
    yield Public(gateway, taker, listener.getsockname()[1])
    server.should_exit = True
    await serving
    taker.stop()
    await stop_gateway(gateway)


async def get(reader, writer, path: str) -> bytes:
    writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    return await reader.read(100)


async def test_a_console_through_the_public_port(public, machine):
    async with public.through.shaken(machine.target) as browser:
        block = os.urandom(300_000)
        await browser.ws.send(block)
        assert await browser.read(len(block)) == block
    await until(lambda: public.gateway.desk.ended)


async def test_pages_and_other_websockets_stay_here(public):
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    assert await get(reader, writer, "/") == b"GET / 0"
    assert await get(reader, writer, "/console/ws") == b"GET /console/ws 0", "without an upgrade it is a page"
    writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + bytes(100000))
    await reader.readuntil(b"\r\n\r\n")
    assert await reader.read(100) == b"POST /x 100000"
    writer.close()
    async with public.through.open("x", path="/live/ws", subprotocols=["live"], key=None) as ws:
        assert await ws.recv() == "live"
    async with public.through.open("x", path="/console/wsx", subprotocols=["live"], key=None) as ws:
        assert await ws.recv() == "live"


async def test_a_connection_that_carried_pages_may_become_a_console(public, machine):
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    assert await get(reader, writer, "/") == b"GET / 0"
    writer.write(upgrade(public.gateway.desk.issue(machine.target)))
    assert (await reader.readline()).startswith(b"HTTP/1.1 101")
    await reader.readuntil(b"\r\n\r\n")
    assert (await reader.readexactly(14))[2:] == b"RFB 003.008\n"
    writer.close()


async def test_the_gateway_refuses_through_the_door_as_it_does_itself(public):
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(upgrade("x" * 43, origin="http://evil.example"))
    assert (await reader.readline()).split()[1] == b"403"
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(upgrade("x" * 43, path="/console/ws?ticket=1"))
    assert (await reader.readline()).split()[1] == b"400"


async def test_a_request_too_large_for_the_gateway_is_refused(public):
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(upgrade("x" * 43, key="k" * 20_000))
    assert (await asyncio.wait_for(reader.readline(), 5)).split()[1] == b"503"


async def test_a_drip_fed_first_request_times_out(public):
    """S13, at the public port."""
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(b"GET / HTTP/1.1\r\nX: ")
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 5) == b""


async def test_without_a_gateway_the_answer_is_503_and_it_heals(public, machine):
    public.taker.stop()
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(upgrade(public.gateway.desk.issue(machine.target)))
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
    assert head.startswith(b"HTTP/1.1 503")
    assert b"Retry-After" in head
    public.taker.start()
    await asyncio.sleep(0.3)
    async with public.through.shaken(machine.target):
        pass


async def test_a_console_waits_for_the_gateway_that_comes_next(public, machine):
    """One was killed, and the next is there in a moment: its pages need not ask again and again."""
    public.taker.stop()
    reader, writer = await asyncio.open_connection("127.0.0.1", public.port)
    writer.write(upgrade(public.gateway.desk.issue(machine.target)))
    await asyncio.sleep(0.3)
    public.taker.start()
    assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 101")
    writer.close()


async def test_descriptors_do_not_pile_up_at_the_door(public, machine):
    async def cycle() -> None:
        async with public.through.shaken(machine.target):
            pass

    await cycle()
    await until(lambda: not public.gateway.engine.open_connections())
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        await cycle()
    await until(lambda: not public.gateway.engine.open_connections())
    await asyncio.sleep(0.1)
    assert len(os.listdir("/proc/self/fd")) <= before + 1


async def test_the_handover_socket_is_for_the_same_user_only(public, tmp_path):
    assert os.stat(tmp_path / "gateway.sock").st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match="another gateway"):
        Taker(str(tmp_path / "gateway.sock"), public.gateway.engine, Viewers(public.gateway.floor)).start()
    assert not Giver(str(tmp_path / "nowhere")).give(socket.socket(), b"x")
