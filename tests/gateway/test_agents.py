"""Consoles through a host's agent: both engines and SPICE, and everybody who is not a gateway of Berth's."""

import asyncio
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid

import pytest

from broker.gateway.desk import Agent, Target
from broker.virt.agent import certificates, consoles
from broker.virt.pki.authority import issue, request_for
from broker.virt.pki.own import ensure

from .fakes import Browser, FakeMachine, make_pki, start_gateway, stop_gateway
from .spice_fakes import CONNECTION, FakeSpice
from .test_engine_contract import KEY_A, closing_of
from .test_spice_sessions import Browser as SpiceBrowser
from .test_spice_sessions import main_channel

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(120), pytest.mark.django_db]
STATUS = """<domstatus state='running' pid='{pid}'><domain><name>m</name><uuid>{uuid}</uuid>
<metadata><b:machine xmlns:b='urn:berth:machine:1' id='x'/></metadata>
<devices><graphics type='vnc' socket='{vnc}'><listen type='socket' socket='{vnc}'/></graphics>
<graphics type='spice'><listen type='socket' socket='{spice}'/></graphics>
<graphics type='vnc' port='5901'><listen type='address' address='0.0.0.0'/></graphics></devices></domain></domstatus>
"""
FIRST = "00000000-0000-4000-8000-000000000000"  # one that does not run here


class Door:
    """An agent's consoles and one machine of its host, whose sockets are `vnc` and `spice`."""

    def __init__(self, base, certificates_of_berth):
        self.base, self.berth = base, str(certificates_of_berth)
        self.machine, self.vnc, self.spice = str(uuid.uuid4()), base / "vnc", base / "spice"
        self._issued = [self._issue() for _ in range(2)]
        self.certify()
        (base / "guests").mkdir()
        (base / "agent.json").write_text(json.dumps({"host": "h", "guests": str(base / "guests"), "root": str(base)}))
        self.qemu = subprocess.Popen(
            [sys.executable, "-c", "input()", self.machine], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        status = STATUS.format(pid=self.qemu.pid, uuid=self.machine, vnc=self.vnc, spice=self.spice)
        (base / "guests" / "m.xml").write_text(status)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self._end, theirs = socket.socketpair()
        words = (base / "agent.json", theirs)
        self._thread = threading.Thread(target=consoles.run, args=words, kwargs={"port": self.port})
        self._thread.start()

    def _issue(self) -> tuple[str, str, str]:
        key, asked = request_for("h")
        issued = issue(asked, name="h", address="127.0.0.1")
        return key, issued.certificate, issued.authority

    def certify(self) -> None:
        """Give the host a certificate that it has not had."""
        key, certificate, authority = self._issued.pop()
        certificates.install(key, certificate, authority, root=self.base)
        (self.base / "hostkey.pem").write_text(key)
        (self.base / "hostcert.pem").write_text(certificate)

    def shown(self) -> bytes:
        """The certificate that who comes is shown."""
        with self.line() as line:
            return line.getpeercert(binary_form=True)

    def line(self, tls: ssl.SSLContext | None = None) -> ssl.SSLSocket:
        """TLS to the door; with Berth's certificate unless another context is given."""
        raw = socket.create_connection(("127.0.0.1", self.port), 20)
        tls = tls or self.context(own=f"{self.berth}/client")
        return tls.wrap_socket(raw, server_hostname="127.0.0.1")

    def target(self, kind: str = "vnc", machine: str = "") -> Target:
        opening = consoles.opening(machine or self.machine, kind)
        return Target(host="127.0.0.1", port=self.port, agent=Agent(self.berth, opening))

    def context(self, *, own: str = "", authority: str = "") -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=authority or f"{self.berth}/cacert.pem")
        if own:
            made.load_cert_chain(f"{own}cert.pem", f"{own}key.pem")
        return made

    def ask(self, line: bytes, tls: ssl.SSLContext | None = None) -> bytes:
        """What a client of this context is answered, until the door closes; nothing when it is not let in."""
        try:
            with self.line(tls) as open_:
                open_.sendall(line)
                return b"".join(iter(lambda: open_.recv(4096), b""))
        except (ssl.SSLError, ConnectionError):
            return b""

    def close(self) -> None:
        self._end.close()
        self._thread.join(20)
        self.qemu.stdin.close()
        self.qemu.wait()
        assert not self._thread.is_alive()


@pytest.fixture
def door(tmp_path, settings, db):
    settings.DATA_DIR = tmp_path / "data"
    settings.DATA_DIR.mkdir()
    base = tmp_path / "host"
    base.mkdir()
    made = Door(base, ensure())
    deadline = time.monotonic() + 20
    while not made.ask(consoles.opening(FIRST, "vnc")):
        assert time.monotonic() < deadline
    yield made
    made.close()


async def test_a_console_of_another_host(engine_name, door):
    gateway = await start_gateway(engine_name, handshake=10.0)
    machine = await FakeMachine(door.vnc).start()
    async with gateway.shaken(door.target()) as browser:
        block = os.urandom(500_000)
        for start in range(0, len(block), 100_000):
            await browser.ws.send(block[start : start + 100_000])
            assert await browser.read(100_000) == block[start : start + 100_000]
        # a renewed certificate is shown to those who come, and those who are there go on
        before = await asyncio.to_thread(door.shown)
        door.certify()
        deadline = time.monotonic() + 20
        while await _shown(door) in (b"", before):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        await browser.ws.send(KEY_A)
        assert await browser.read(8) == KEY_A
        await machine.stop()
        assert (await closing_of(browser))[1] == "lost"
    for target in (door.target(), door.target(machine=FIRST), door.target(kind="serial")):
        async with gateway.open(gateway.desk.issue(target)) as ws:
            assert (await closing_of(Browser(ws)))[1] == "unreachable"
    await stop_gateway(gateway)


async def _shown(door: Door) -> bytes:
    try:
        return await asyncio.to_thread(door.shown)
    except OSError:
        return b""  # between two certificates nobody listens for a moment


async def test_a_spice_session_of_another_host(door):
    gateway = await start_gateway("picows", handshake=10.0)
    machine = await FakeSpice(door.spice).start()
    way = SpiceBrowser(gateway)
    secret = way.issue(door.target("spice"))
    async with way.open(secret) as main, way.open(secret) as display:
        await main_channel(main)
        await display.shake(2, 0, CONNECTION)
        assert (await display.message())[0] == 314
    assert {kind for _, kind, _ in machine.links} == {1, 2}
    await stop_gateway(gateway)
    await machine.stop()


async def test_nobody_else_comes_in(door, tmp_path):
    machine = await FakeMachine(door.vnc).start()
    good = consoles.opening(door.machine, "vnc")
    assert (await asyncio.to_thread(door.ask, b"nonsense\n")) == b"no request\n"
    foreign = make_pki(tmp_path)
    strangers = {
        "without a certificate": door.context(),
        "of another authority": door.context(own=f"{foreign}/client-"),
        "a host of this authority": door.context(own=f"{door.base}/host"),
    }
    for who, context in strangers.items():
        assert await asyncio.to_thread(door.ask, good, context) == b"", who
    lines = {
        b"\0\n": b"no request\n", b"x" * 300 + b"\n": b"no request\n", b"[" * 250 + b"\n": b"no request\n",
        b"\xff\xfe\n": b"no request\n", b"null\n": b"no request\n", b"\n": b"no request\n",
        consoles.opening("../../m", "vnc"): b"no request\n", consoles.opening(door.machine, "serial"): b"no request\n",
        consoles.opening(door.machine.upper(), "vnc"): b"no request\n",
        json.dumps({"machine": [door.machine], "console": {"vnc": 1}}).encode() + b"\n": b"no request\n",
        consoles.opening(FIRST, "vnc"): b"no unknown\n", b"x" * 400_000: b"",
    }  # fmt: skip
    for line, answer in lines.items():
        assert await asyncio.to_thread(door.ask, line) == answer, line[:80]
    assert not machine.writers, "somebody came as far as the machine"
    # libvirt's note outlives the machine: what is not running has no screen
    door.qemu.kill()
    door.qemu.wait()
    assert await asyncio.to_thread(door.ask, good) == b"no unknown\n"
    await machine.stop()


async def test_silence_and_floods_keep_nobody_out(door, monkeypatch):
    monkeypatch.setattr(consoles, "SECONDS", 2.0)
    gateway = await start_gateway("picows", handshake=10.0)
    machine = await FakeMachine(door.vnc).start()
    flood = [await asyncio.open_connection("127.0.0.1", door.port, local_addr=("127.0.0.9", 0)) for _ in range(100)]
    dropped = [asyncio.ensure_future(reader.read(1)) for reader, _ in flood]
    async with gateway.shaken(door.target()) as browser:
        await browser.ws.send(KEY_A)
        assert await browser.read(8) == KEY_A
        # who drips is cut off as who says nothing
        assert await asyncio.to_thread(_drip, door) == b""
        async with asyncio.timeout(30):
            await asyncio.wait(dropped)
    for _, writer in flood:
        writer.close()
    # of one machine's consoles there are so many and no more, and each that ends makes room
    monkeypatch.setattr(consoles, "MOST_TO_ONE", 1)
    async with gateway.shaken(door.target()):
        assert await asyncio.to_thread(door.ask, consoles.opening(door.machine, "vnc")) == b"no full\n"
    async with asyncio.timeout(20):
        while await asyncio.to_thread(door.ask, consoles.opening(door.machine, "spice")) != b"no unknown\n":
            await asyncio.sleep(0.05)
    await stop_gateway(gateway)
    await machine.stop()


def _drip(door: Door) -> bytes:
    with door.line() as line:
        line.settimeout(0.1)
        for byte in consoles.opening(door.machine, "vnc"):
            try:
                line.sendall(bytes([byte]))
                return line.recv(10)
            except TimeoutError:
                continue
            except OSError:
                return b""
    raise AssertionError("who drips was heard to the end")


async def test_a_gateway_that_does_not_read_fills_nothing(door):
    """The machine is read no faster than what came from it is taken."""
    sent = 0

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(bytes(65536))
                await writer.drain()
                sent += 65536

    server = await asyncio.start_unix_server(pour, str(door.vnc))
    with socket.socket() as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        raw.connect(("127.0.0.1", door.port))
        context = door.context(own=f"{door.berth}/client")
        line = await asyncio.to_thread(context.wrap_socket, raw, server_hostname="127.0.0.1")
        line.sendall(consoles.opening(door.machine, "vnc"))
        seen, still = -1, 0
        while still < 10:
            await asyncio.sleep(0.05)
            seen, still = sent, still + 1 if sent and sent == seen else 0
        assert sent < 8 << 20
    server.close()
