"""Against a real QEMU: its own VNC server, over a unix socket and over TLS with certificates on both sides."""

import asyncio
import contextlib
import socket
import struct
import subprocess
import time

import pytest

from broker.gateway.desk import Target
from broker.gateway.floor import hypervisor_context

from .fakes import Browser, start_gateway, stop_gateway

pytestmark = [pytest.mark.asyncio, pytest.mark.lab, pytest.mark.timeout(60)]


@contextlib.contextmanager
def qemu(*arguments: str):
    """A machine stopped before its first instruction: QEMU itself paints its screen, and nothing changes its size."""
    child = subprocess.Popen(
        ["qemu-system-x86_64", "-accel", "tcg", "-display", "none", "-m", "64", "-nodefaults", "-vga", "std",
         "-net", "none", "-monitor", "none", "-serial", "none", "-S", *arguments],
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield child
    finally:
        child.kill()
        child.wait()


async def wait_for_port(open_) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            open_().close()
            return
        except OSError:
            assert time.monotonic() < deadline, "QEMU does not listen"
            await asyncio.sleep(0.05)


async def see_the_screen(gateway, target: Target, *, view_only: bool = False) -> bytes:
    """What noVNC does: handshake, raw encoding, one full picture; returns its pixels."""
    async with gateway.open(gateway.desk.issue(target, view_only=view_only)) as ws:
        browser = Browser(ws)
        assert await browser.read(12) == b"RFB 003.008\n"
        await ws.send(b"RFB 003.008\n")
        assert await browser.read(2) == b"\x01\x01"
        await ws.send(b"\x01")
        assert await browser.read(4) == bytes(4)
        await ws.send(b"\x01")
        width, height, _, name = struct.unpack(">HH16sI", await browser.read(24))
        await browser.read(name)
        await ws.send(struct.pack(">BxHi", 2, 1, 0) + struct.pack(">BBHHHH", 3, 0, 0, 0, width, height))
        pixels = bytearray()
        while len(pixels) < width * height * 4:
            kind, rectangles = struct.unpack(">BxH", await browser.read(4))
            assert kind == 0
            for _ in range(rectangles):
                _, _, w, h, encoding = struct.unpack(">HHHHi", await browser.read(12))
                assert encoding == 0
                pixels += await browser.read(w * h * 4)
        assert (width, height) >= (640, 400)
        (console,) = gateway.floor.consoles.all()
        took = console.alive().picture
        assert took is not None and 0 < took < 60, "the gateway saw the first picture go out"
        return bytes(pixels)


async def test_the_screen_of_a_machine_on_a_unix_socket(gateway, tmp_path):
    path = tmp_path / "vnc.sock"

    def connect() -> socket.socket:
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(path))
        return client

    with qemu("-vnc", f"unix:{path}"):
        await wait_for_port(connect)
        pictures = [await see_the_screen(gateway, Target(unix=str(path)), view_only=v) for v in (False, True)]
        assert pictures[0] == pictures[1]
        assert len(set(pictures[0])) > 1, "there is writing on it"


async def test_the_screen_of_a_machine_behind_vencrypt(engine_name, pki):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    credentials = f"tls-creds-x509,id=tls0,dir={pki},endpoint=server,verify-peer=yes"
    display = port - 5900 if port >= 5900 else port + 60_000
    with qemu("-object", credentials, "-vnc", f"127.0.0.1:{display},tls-creds=tls0"):
        await wait_for_port(lambda: socket.create_connection(("127.0.0.1", port), 1))
        gateway = await start_gateway(engine_name, hypervisor_tls=hypervisor_context(str(pki)))
        assert await see_the_screen(gateway, Target(host="localhost", port=port))
        bare = await start_gateway(engine_name)
        async with bare.open(bare.desk.issue(Target(host="localhost", port=port))) as ws:
            await asyncio.wait_for(ws.wait_closed(), 10)
            assert ws.close_reason == "unreachable", "without a certificate of ours nothing is dialled"
        await stop_gateway(gateway)
        await stop_gateway(bare)
