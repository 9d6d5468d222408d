"""What every console engine does, run against each of them."""

import asyncio
import gc
import os
import ssl
import struct

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from broker.gateway import closing as why
from broker.gateway.desk import Target
from broker.gateway.floor import hypervisor_context

from .fakes import (
    KEY,
    PATTERN,
    PATTERN_REPEATS,
    SERVER_INIT,
    Browser,
    FakeMachine,
    frame,
    read_close,
    start_gateway,
    stop_gateway,
    until,
    upgrade,
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]
KEY_A = struct.pack(">BBxxI", 4, 1, ord("a"))
POINTER = struct.pack(">BBHH", 5, 1, 10, 10)
REQUEST = struct.pack(">BBHHHH", 3, 0, 0, 0, 4, 4)


async def refused(gateway, *, status: int, secret: str | None = None, **options) -> None:
    """The upgrade is answered with this HTTP status and no ticket is used up."""
    secret = secret or gateway.desk.issue(Target(unix="/nowhere"))
    before = len(gateway.desk.tickets)
    with pytest.raises(InvalidStatus) as info:
        async with gateway.open(secret, **options):
            pass
    assert info.value.response.status_code == status
    assert secret.encode() not in (info.value.response.body or b"")
    assert len(gateway.desk.tickets) == before


async def closing_of(browser: Browser) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as info:
        while True:
            await asyncio.wait_for(browser.ws.recv(), 10)
    assert info.value.rcvd is not None, "no close frame came"
    return info.value.rcvd.code, info.value.rcvd.reason


async def test_a_console_carries_bytes_both_ways_and_asks_for_a_shared_screen(gateway, machine):
    async with gateway.shaken(machine.target) as browser:
        assert browser.ws.subprotocol == "binary"
        assert machine.shared == b"\x01", "the page asked for an exclusive screen; that is not its to say"
        for size in (1, 125, 126, 65535, 65536, 300_000):
            block = os.urandom(size)
            await browser.ws.send(block)
            assert await browser.read(size) == block
    await until(lambda: gateway.desk.ended)
    console, closing = gateway.desk.ended[0]
    assert closing is why.FINISHED
    assert console.bytes_up > 400_000
    assert console.bytes_down > 400_000
    assert len(gateway.floor.consoles) == 0


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://vdi.test",
        "http://vdi.test:8080",
        "http://vdi.test.evil.example",
        "http://evil-vdi.test",
        "http://vdi.test@evil.example",
        "http://vdi.test/",
        None,
    ],
)
async def test_a_foreign_or_missing_origin_is_refused(gateway, origin):
    """S01, S02."""
    await refused(gateway, status=403, origin=origin)


async def test_nothing_is_learnt_from_the_host_header_of_earlier_requests(gateway, machine):
    """S03."""
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        writer.write(upgrade(gateway.desk.issue(machine.target), origin="http://evil.example", host="evil.example"))
        assert (await reader.readline()).split()[1] == b"403"
        writer.close()


async def test_a_ticket_in_the_url_is_refused(gateway, caplog):
    """S09."""
    secret = gateway.desk.issue(Target(unix="/nowhere"))
    await refused(gateway, status=400, secret=secret, path=f"/console/ws?token={secret}")
    assert secret not in caplog.text
    await refused(gateway, status=404, path="/console/ws/../../etc")
    await refused(gateway, status=404, path="//console/ws")


async def test_without_ticket_or_sign_in_the_upgrade_is_refused(gateway):
    good = gateway.desk.issue(Target(unix="/nowhere"))
    for subprotocols in (["binary"], ["binary", "berth.ticket."], ["binary", "berth.ticket." + "x" * 44],
                         [f"berth.ticket.{good}"], ["binary", *[f"berth.ticket.{good}"] * 2]):  # fmt: skip
        await refused(gateway, status=401, subprotocols=subprotocols)
    await refused(gateway, status=401, key=None)


async def test_a_ticket_opens_one_console_even_when_shown_fifty_times_at_once(gateway, machine):
    """S04."""
    secret = gateway.desk.issue(machine.target)

    async def attempt() -> str:
        async with gateway.open(secret) as ws:
            try:
                await asyncio.wait_for(ws.recv(), 10)
            except ConnectionClosed as closed:
                return closed.rcvd.reason
            await asyncio.sleep(0.5)
            return "open"

    outcomes = await asyncio.gather(*(attempt() for _ in range(50)))
    assert sorted(outcomes) == ["open"] + ["ticket"] * 49


async def test_a_ticket_of_another_sign_in_opens_nothing(gateway, machine):
    """S06."""
    async with gateway.open(gateway.desk.issue(machine.target), key="somebody-else") as ws:
        assert await closing_of(Browser(ws)) == (why.FOREIGN.code, why.FOREIGN.name)
    assert not machine.writers


async def test_view_only_lets_no_input_through(gateway, machine):
    encodings = struct.pack(">BxH3i", 2, 3, 0, -316, 7)
    async with gateway.shaken(machine.target, view_only=True) as browser:
        for message in (KEY_A, POINTER, struct.pack(">BxxxI", 6, 5) + b"paste",
                        struct.pack(">BBHH6x", 255, 0, 1, 0),
                        struct.pack(">BxHHBx", 251, 8, 8, 1) + bytes(16), encodings):  # fmt: skip
            for byte in message:
                await browser.ws.send(bytes([byte]))
        await browser.ws.send(REQUEST)
        expected = struct.pack(">BxH2i", 2, 2, 0, 7) + REQUEST
        assert await browser.read(len(expected)) == expected
        assert bytes(machine.received) == expected
    async with gateway.shaken(machine.target) as browser:
        await browser.ws.send(KEY_A)
        assert await browser.read(8) == KEY_A


async def test_a_key_is_input_and_a_request_for_pictures_is_not(gateway, machine):
    async with gateway.shaken(machine.target) as browser:
        await browser.ws.send(REQUEST)
        assert await browser.read(len(REQUEST)) == REQUEST
        (console,) = gateway.floor.consoles.all()
        assert console.alive().idle is None
        await browser.ws.send(KEY_A)
        assert await browser.read(len(KEY_A)) == KEY_A
        assert 0 <= console.alive().idle < 10


async def test_view_only_ends_at_a_message_it_does_not_know(gateway, machine):
    async with gateway.shaken(machine.target, view_only=True) as browser:
        await browser.ws.send(b"\x63" * 10)
        assert await closing_of(browser) == (1002, "protocol")
    assert not machine.received


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (frame(b"", length=1 << 63), 1002),
        (frame(b"", length=(1 << 63) - 1), 1009),
        (frame(b"", length=100 * 1024 * 1024), 1009),
        (frame(b"x" * 10, masked=False), 1002),
        (frame(b"hello", opcode=1), 1003),
        (frame(b"p", opcode=9) * 200, 1008),
        (frame(b"echo", opcode=1) * 100, 1008),
    ],
    ids=["2^63", "2^63-1", "100MB", "unmasked", "text", "ping flood", "echo flood"],
)
async def test_bad_frames_close_with_their_code(gateway, machine, sent, code):
    """S12."""
    reader, writer = await gateway.raw(gateway.desk.issue(machine.target))
    await asyncio.sleep(0.1)
    writer.write(sent)
    assert (await read_close(reader))[0] == code
    writer.close()
    await until(lambda: gateway.desk.ended and not gateway.engine.open_connections())
    assert gateway.desk.ended[0][1].code == code


async def test_who_asks_whether_the_line_lives_is_answered_and_nothing_of_it_reaches_the_machine(gateway, machine):
    async with gateway.shaken(machine.target) as browser:
        await browser.ws.send(b"before")
        await browser.ws.send("echo")
        await browser.ws.send(b"after")
        heard = [await asyncio.wait_for(browser.ws.recv(), 60)]
        while "echo" not in heard or sum(map(len, heard)) < len("beforeechoafter"):
            heard.append(await asyncio.wait_for(browser.ws.recv(), 60))
        assert b"".join(one for one in heard if isinstance(one, bytes)) == b"beforeafter"
        assert heard.count("echo") == 1
        (console,) = gateway.floor.consoles.all()
        assert console.alive().bytes_up < 200
    assert b"echo" not in machine.received


async def test_a_browser_that_speaks_other_rfb_is_closed(gateway, machine):
    async with gateway.open(gateway.desk.issue(machine.target)) as ws:
        await ws.recv()
        await ws.send(b"RFB 003.003\n")
        assert (await closing_of(Browser(ws)))[1] == "protocol"


async def test_no_machine_at_all(gateway):
    for target in (Target(unix="/nonexistent/vnc"), Target(host="localhost", port=1)):
        async with gateway.open(gateway.desk.issue(target)) as ws:
            assert (await closing_of(Browser(ws)))[1] == "unreachable"


async def test_a_machine_that_goes_away_ends_the_console(gateway, machine):
    async with gateway.shaken(machine.target) as browser:
        machine.writers[0].transport.abort()
        assert await closing_of(browser) == (why.LOST.code, "lost")


async def test_a_console_is_ended_from_outside_with_the_reason(gateway, machine):
    async with gateway.shaken(machine.target) as one, gateway.shaken(machine.target) as other:
        sessions = [console.alive().session for console in gateway.floor.consoles.all()]
        await asyncio.to_thread(gateway.floor.consoles.end, {sessions[0]: why.SIGNED_OUT, "elsewhere": why.ENDED})
        assert await closing_of(one) == (4401, "signed-out")
        await other.ws.send(KEY_A)
        assert await other.read(8) == KEY_A
    await until(lambda: len(gateway.desk.ended) == 2)


async def test_a_dead_browser_is_noticed(engine_name, machine):
    """F35."""
    gateway = await start_gateway(engine_name, ping_every=0.6, ping_answer=0.5)
    reader, writer = await gateway.raw(gateway.desk.issue(machine.target))
    await reader.readexactly(14)
    for message in (b"RFB 003.008\n", b"\x01", b"\x01"):
        writer.write(frame(message))
        await asyncio.sleep(0.1)
    code, _name = await read_close(reader)
    assert code in (1001, why.NO_ANSWER.code)
    writer.close()
    await until(lambda: gateway.desk.ended)
    assert gateway.desk.ended[0][1] is why.NO_ANSWER
    async with gateway.shaken(machine.target) as browser:
        await asyncio.sleep(3)
        await browser.ws.send(KEY_A)
        assert await browser.read(8) == KEY_A, "a browser that answers pings stays"
    await stop_gateway(gateway)


async def test_a_slow_browser_slows_the_machine_and_not_the_memory(gateway, tmp_path):
    """S12: the memory stays flat."""
    machine = await FakeMachine(tmp_path / "flood", script="flood").start()
    _reader, writer = await gateway.raw(gateway.desk.issue(machine.target))
    for message in (b"RFB 003.008\n", b"\x01", b"\x01"):
        await asyncio.sleep(0.1)
        writer.write(frame(message))
    writer.transport.pause_reading()
    await asyncio.sleep(0.7)
    first = machine.sent
    await asyncio.sleep(0.7)
    assert machine.sent == first, "the machine goes on sending although nobody reads"
    assert first < 16 * 1024 * 1024
    writer.transport.abort()
    await machine.stop()


async def test_a_burst_arrives_whole(gateway, tmp_path):
    """Reads in fits and starts, so that the relay's buffers fill and empty; every byte is compared."""
    machine = await FakeMachine(tmp_path / "pattern", script="pattern").start()
    async with gateway.shaken(machine.target, max_queue=4) as browser:
        received = 0
        while received < len(PATTERN) * PATTERN_REPEATS:
            part = min(1_000_003, len(PATTERN) * PATTERN_REPEATS - received)
            data, at = await browser.read(part), received % len(PATTERN)
            assert data == (PATTERN * (2 + part // len(PATTERN)))[at : at + part]
            received += part
            if received % 7 == 0:
                await asyncio.sleep(0.02)
    await machine.stop()


async def test_a_slow_machine_slows_the_browser(gateway, tmp_path):
    machine = await FakeMachine(tmp_path / "deaf", script="deaf").start()
    async with gateway.shaken(machine.target) as browser:
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 256 * 1024 * 1024:
                await asyncio.wait_for(browser.ws.send(bytes(256 * 1024)), 1.0)
                sent += 256 * 1024
        assert sent < 32 * 1024 * 1024
        browser.ws.transport.abort()
    await machine.stop()


async def test_descriptors_stay_flat(gateway, machine):
    """F34, F35."""

    async def cycle() -> None:
        async with gateway.shaken(machine.target) as browser:
            await browser.ws.send(KEY_A)
            await browser.read(8)
        async with gateway.open("x" * 43) as ws:
            await asyncio.wait_for(ws.wait_closed(), 5)

    async def settled() -> int:
        await until(lambda: not gateway.engine.open_connections())
        gc.collect()
        await asyncio.sleep(0.1)
        return len(os.listdir("/proc/self/fd"))

    await cycle()
    before = await settled()
    for _ in range(10):
        await asyncio.gather(*(cycle() for _ in range(5)))
    assert await settled() <= before + 1


async def test_a_full_gateway_says_so(engine_name, machine):
    """S11."""
    gateway = await start_gateway(engine_name, consoles=2)
    async with gateway.shaken(machine.target), gateway.shaken(machine.target):
        await refused(gateway, status=503)
    await stop_gateway(gateway)


async def test_a_browser_that_leaves_while_its_ticket_is_redeemed_leaves_no_session(gateway, machine):
    """F34."""
    gateway.desk.delay.clear()
    _reader, writer = await gateway.raw(gateway.desk.issue(machine.target))
    await asyncio.sleep(0.1)
    writer.transport.abort()
    await asyncio.sleep(0.2)
    gateway.desk.delay.set()
    await until(lambda: gateway.desk.ended)
    assert len(gateway.floor.consoles) == 0


async def test_over_tls(engine_name, machine, server_tls, pki):
    gateway = await start_gateway(engine_name, tls=server_tls)
    trust = ssl.create_default_context(cafile=pki / "ca-cert.pem")
    async with gateway.shaken(machine.target, ssl=trust) as browser:
        block = os.urandom(1_000_000)
        for start in range(0, len(block), 100_000):
            await browser.ws.send(block[start : start + 100_000])
            assert await browser.read(100_000) == block[start : start + 100_000]
    await stop_gateway(gateway)


async def test_a_remote_machine_is_reached_by_vencrypt_with_our_certificate(engine_name, tmp_path, machine_tls, pki):
    machine = await FakeMachine(tmp_path / "unused", tls=machine_tls).start()
    gateway = await start_gateway(engine_name, hypervisor_tls=hypervisor_context(str(pki)))
    async with gateway.shaken(machine.target) as browser:
        await browser.ws.send(KEY_A)
        assert await browser.read(8) == KEY_A
    async with gateway.open(gateway.desk.issue(Target(host="127.0.0.2", port=machine.port))) as ws:
        assert (await closing_of(Browser(ws)))[1] == "unreachable", "the certificate is for another name"
    await stop_gateway(gateway)
    await machine.stop()


async def test_the_browser_learns_no_host_and_no_port(gateway, machine):
    async with gateway.shaken(machine.target) as browser:
        answer = browser.ws.response
        assert KEY not in str(answer.headers)
        assert str(machine.path) not in str(answer.headers) + SERVER_INIT.decode("latin-1")
