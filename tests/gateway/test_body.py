"""Bodies read straight from their connection: whole ones, broken ones, refused ones, and what comes after them."""

import asyncio
import contextlib
import hashlib
import os
import socket

import pytest
import pytest_asyncio
import uvicorn

from broker.gateway import body as body_module
from broker.gateway.body import EXTENSION
from broker.gateway.door import door

from .fakes import until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
CONTENT = os.urandom(3_000_000)


async def answers(scope, receive, send) -> None:
    """/all reads and hashes the body in a thread, /some ten bytes of it, /none refuses it."""
    body = scope.get("extensions", {}).get(EXTENSION)
    if body is None:
        told = b"by the loop"
    else:
        told = await asyncio.to_thread(_read, body, scope["path"])
        body.hand_back()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(told))]})
    await send({"type": "http.response.body", "body": told})


def _read(body, path: str) -> bytes:
    told = hashlib.sha256()
    if path == "/some":
        told.update(body.read(10))
    while path == "/all" and (piece := body.read(1 << 20)):
        told.update(piece)
    body.close()
    return told.hexdigest().encode()


@pytest_asyncio.fixture
async def port(tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    kept = door(
        str(tmp_path / "no-gateway"), straight=lambda method, path, length: method == "PUT" and length < 1 << 22
    )
    server = uvicorn.Server(uvicorn.Config(answers, http=kept, lifespan="off", log_config=None, ws="none"))
    server.capture_signals = contextlib.nullcontext
    serving = asyncio.create_task(server.serve([listener]))
    await until(lambda: server.started)
    yield listener.getsockname()[1]
    server.should_exit = True
    await serving


def put(path: str, length: int, more: bytes = b"") -> bytes:
    return b"PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n%s\r\n" % (path.encode(), length, more)


async def answer(reader) -> tuple[bytes, bytes]:
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return head, await reader.readexactly(length)


def digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


async def test_one_after_the_other_on_one_connection(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for content in (CONTENT, b"small", CONTENT[:70_000]):
        writer.write(put("/all", len(content)) + content)
        assert (await answer(reader))[1] == digest(content)
    writer.write(put("/none", len(CONTENT)) + CONTENT)  # refused without a look: the parser passes over it
    assert (await answer(reader))[1] == digest(b"")
    writer.write(put("/all", 3) + b"abc")
    assert (await answer(reader))[1] == digest(b"abc")
    writer.write(put("/all", 1 << 22) + bytes(1 << 22))  # not one of those
    assert (await answer(reader))[1] == b"by the loop"
    writer.close()


async def test_bytes_that_come_by_and_by(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(put("/all", 6, b"Expect: 100-continue\r\n"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20) == b"HTTP/1.1 100 Continue\r\n\r\n"
    for piece in (b"ab", b"cd", b"ef"):
        await asyncio.sleep(0.05)
        writer.write(piece)
    assert (await answer(reader))[1] == digest(b"abcdef")
    writer.close()


async def test_two_at_once_on_one_connection_are_answered_in_order(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(put("/all", 3) + b"abc" + put("/all", 3) + b"xyz")
    assert (await answer(reader))[1] == digest(b"abc")
    told = (await answer(reader))[1]
    assert told in (digest(b"xyz"), b"by the loop")
    writer.close()


async def test_what_breaks_off_ends_where_it_is(port, monkeypatch):
    monkeypatch.setattr(body_module, "SILENCE_SECONDS", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(put("/all", 1000) + b"abc")
    head, told = await answer(reader)  # nothing more came in time
    assert told == digest(b"abc") and b"connection: close" in head.lower()
    assert await reader.read() == b""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(put("/all", len(CONTENT)) + CONTENT[:-1])
    writer.write_eof()
    assert (await answer(reader))[1] == digest(CONTENT[:-1])
    writer.close()


async def test_an_answer_before_the_end_is_heard(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(put("/some", len(CONTENT)) + CONTENT)
    assert (await answer(reader))[1] == digest(CONTENT[:10])
    writer.write(put("/all", 3) + b"abc")
    assert (await answer(reader))[1] == digest(b"abc")
    writer.close()


async def test_no_descriptor_stays(port):
    async def one(path: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(put(path, 100_000) + bytes(100_000))
        await answer(reader)
        writer.close()
        await writer.wait_closed()

    await one("/all")
    before = len(os.listdir("/proc/self/fd"))
    for path in ("/all", "/none", "/some") * 5:
        await one(path)
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before + 1)
