"""The gateway as a process over the real database: tickets, revalidation, drain, sudden death, size."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session as WebSession
from django.db import connection
from django.utils import timezone

from broker.connections.actions import end_sessions_of, set_console_policy
from broker.connections.models import Session
from broker.connections.reconcile import tidy
from broker.events.models import Event
from broker.gateway.engines import NAMES
from broker.virt.models import VirtualMachine
from tests.connections.conftest import GATEWAY, Setting, make_vm, sign_in

from .fakes import Browser, FakeMachine, Gateway, read_close, until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]


class Process:
    """`python -m broker.gateway` on this test's database."""

    def __init__(self, directory: Path, *arguments: str, engine: str = "picows", linger: float = 0, **more: str):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        database = connection.settings_dict
        environment = {
            **os.environ,
            "BERTH_DATA_DIR": str(directory),
            "BERTH_SECRET_KEY": settings.SECRET_KEY,
            "BERTH_ORIGINS": '["http://vdi.test"]',
            "BERTH_CONSOLE_ENGINE": engine,
            "BERTH_CONSOLE_LINGER": str(linger),
            "BERTH_CONSOLE_CHECK_EVERY": "2",
            **more,
        }
        if connection.vendor == "sqlite":
            (directory / "berth.sqlite3").symlink_to(database["NAME"])
        else:
            environment["BERTH_DATABASE_URL"] = (
                f"postgresql://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
            )
        self.log = directory / "gateway.log"
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "broker.gateway", "--listen", f"127.0.0.1:{self.port}", *arguments],
                env=environment, stderr=log, cwd=settings.BASE_DIR,
            )  # fmt: skip
        deadline = time.monotonic() + 20
        while "ready" not in self.log.read_text():
            assert self.child.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def open(self, secret: str, key: str):
        return Gateway.open(self, secret, key=key)

    tls = None

    def stop(self) -> None:
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()


@pytest.fixture
def setting(world, tmp_path):
    vm = make_vm(world, "desk-1", consoles=[{"kind": "vnc", "unix": str(tmp_path / "vnc")}])
    world.grant(world.alice, "vm-user", vm)
    return Setting(world, vm, sign_in(world.alice))


@pytest.fixture(params=NAMES)
def process(request, tmp_path):
    running = Process(tmp_path, engine=request.param)
    yield running
    running.stop()


@pytest.fixture
def picows_process(tmp_path):
    running = Process(tmp_path)
    yield running
    running.stop()


async def shaken(process: Process, secret: str, key: str) -> Browser:
    browser = Browser(await process.open(secret, key))
    await browser.shake()
    return browser


async def reason_of(browser: Browser, seconds: float = 25) -> str:
    await asyncio.wait_for(browser.ws.wait_closed(), seconds)
    return browser.ws.close_reason


def test_from_ticket_to_the_closed_row_and_no_secret_in_the_log(setting, process, tmp_path):
    """S09."""

    async def run():
        machine = await FakeMachine(tmp_path / "vnc").start()
        secret = await asyncio.to_thread(setting.ticket)
        browser = await shaken(process, secret, setting.key)
        await browser.ws.send(b"hello")
        assert await browser.read(5) == b"hello"
        again = await process.open(secret, setting.key)
        assert await reason_of(Browser(again)) == "ticket"
        await browser.ws.close()
        await machine.stop()
        return secret

    secret = asyncio.run(run())
    deadline = time.monotonic() + 5
    while (session := Session.objects.get()).state != "closed":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert session.close_reason == "finished"
    assert session.bytes_down > 5
    assert secret not in process.log.read_text()
    assert setting.key not in process.log.read_text()


@pytest.mark.slow
def test_sign_out_and_take_back_end_consoles_in_time(setting, process, tmp_path):
    """S10."""

    def second_machine():
        vm = make_vm(setting.world, "desk-2", consoles=setting.vm.consoles)
        setting.world.grant(setting.world.alice, "vm-user", vm)
        return vm

    async def run():
        machine = await FakeMachine(tmp_path / "vnc").start()
        key_two = await asyncio.to_thread(sign_in, setting.world.alice)
        other = Setting(setting.world, await asyncio.to_thread(second_machine), key_two)
        signed_out = await shaken(process, await asyncio.to_thread(setting.ticket), setting.key)
        taken = await shaken(process, await asyncio.to_thread(other.ticket), key_two)
        started = time.monotonic()
        await asyncio.to_thread(WebSession.objects.filter(session_key=setting.key).delete)
        assert await reason_of(signed_out) == "signed-out"
        assert not taken.ws.close_code, "the other sign-in goes on"
        await asyncio.to_thread(lambda: end_sessions_of(actor=GATEWAY, vm=other.vm.pk))
        assert await reason_of(taken) == "taken-back"
        assert time.monotonic() - started < 30
        await machine.stop()

    asyncio.run(run())


def test_sigterm_tells_every_browser_and_ends_within_five_seconds(setting, process, tmp_path):
    async def run():
        machine = await FakeMachine(tmp_path / "vnc").start()
        browsers = [await shaken(process, await asyncio.to_thread(setting.ticket), setting.key) for _ in range(3)]
        # One that never reads and never answers must not hold the others up.
        reader, writer = await Gateway.raw(_Raw(process, setting.key), await asyncio.to_thread(setting.ticket))
        started = time.monotonic()
        process.child.send_signal(signal.SIGTERM)
        for browser in browsers:
            assert await reason_of(browser) == "restarting"
            assert browser.ws.close_code == 1012
        assert (await read_close(reader))[0] == 1012
        code = await asyncio.to_thread(process.child.wait, 10)
        assert code == 0
        assert time.monotonic() - started < 5
        writer.close()
        await machine.stop()

    asyncio.run(run())
    assert not Session.objects.live().exists(), process.log.read_text()


def test_a_gateway_that_gives_way_takes_nothing_new_and_keeps_its_consoles_until_another_is_there(setting, tmp_path):
    door = str(tmp_path / "door")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    old = Process(tmp_path / "one", "--handover", door, linger=45)
    running = [old]

    async def run():
        machine = await FakeMachine(tmp_path / "vnc").start()
        browser = await shaken(old, await asyncio.to_thread(setting.ticket), setting.key)
        old.child.send_signal(signal.SIGTERM)
        await until(lambda: not Path(door).exists() and not listens(old.port), 20)
        await browser.ws.send(b"still here")
        assert await browser.read(10) == b"still here"
        new = await asyncio.to_thread(Process, tmp_path / "two", "--handover", door)
        running.append(new)
        assert await reason_of(browser) == "restarting"
        moved = await shaken(new, await asyncio.to_thread(setting.ticket), setting.key)
        await moved.ws.send(b"hello")
        assert await moved.read(5) == b"hello"
        assert await asyncio.to_thread(old.child.wait, 20) == 0
        await moved.ws.close()
        await machine.stop()

    try:
        asyncio.run(run())
    finally:
        for process in running:
            process.stop()


def test_those_with_ports_move_their_consoles_one_after_the_other_and_a_second_signal_hurries(setting, tmp_path):
    process = Process(tmp_path, linger=45)

    async def run():
        machine = await FakeMachine(tmp_path / "vnc").start()
        browsers = [await shaken(process, await asyncio.to_thread(setting.ticket), setting.key) for _ in range(3)]
        process.child.send_signal(signal.SIGTERM)
        await until(lambda: any(browser.ws.close_code for browser in browsers), 20)
        assert [browser.ws.close_code for browser in browsers].count(None) == 2
        process.child.send_signal(signal.SIGTERM)
        for browser in browsers:
            assert await reason_of(browser) == "restarting"
        assert await asyncio.to_thread(process.child.wait, 10) == 0
        await machine.stop()

    try:
        asyncio.run(run())
    finally:
        process.stop()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.lab
def test_a_full_disk_ends_the_recording_with_an_event_and_the_console_goes_on(setting, tmp_path):
    """A disk of 64 KiB, in the machine that the cage is."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    set_console_policy(actor=setting.world.actor("root"), obj=setting.vm, record=True)
    process = Process(tmp_path, BERTH_RECORDINGS_DIR=str(disk))

    async def run():
        machine = await FakeMachine(tmp_path / "vnc").start()
        browser = await shaken(process, await asyncio.to_thread(setting.ticket), setting.key)
        block = os.urandom(100_000)
        for _ in range(3):
            await browser.ws.send(block)
            assert await browser.read(len(block)) == block
        ended = Event.objects.filter(kind="recording.ended", params__why="full").exists
        for _ in range(100):
            if await asyncio.to_thread(ended):
                break
            await asyncio.sleep(0.2)
        assert await asyncio.to_thread(ended), process.log.read_text()
        await browser.ws.send(b"still here")
        assert await browser.read(10) == b"still here"
        await browser.ws.close()
        await machine.stop()

    try:
        asyncio.run(run())
    finally:
        process.stop()
        subprocess.run(["umount", disk], check=True)


class _Raw:
    def __init__(self, process: Process, key: str):
        self.port, self.key = process.port, key


def test_a_killed_gateway_leaves_sessions_that_the_duty_closes(setting, picows_process, tmp_path):
    """F36."""
    process = picows_process

    async def run():
        machine = await FakeMachine(tmp_path / "vnc").start()
        browser = await shaken(process, await asyncio.to_thread(setting.ticket), setting.key)
        process.child.kill()
        await asyncio.wait_for(browser.ws.wait_closed(), 5)
        await machine.stop()

    asyncio.run(run())
    process.child.wait()
    assert tidy() == 0, "it may still be alive"
    Session.objects.update(last_seen_at=timezone.now() - timedelta(seconds=46))
    assert tidy() == 1
    assert Session.objects.get().close_reason == "gone"


def test_it_ends_with_its_parent(setting, tmp_path):
    script = (
        "import os, subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-m', 'broker.gateway', '--handover', {str(tmp_path / 's')!r},"
        " '--lifeline', str(int(sys.argv[1]))], pass_fds=[int(sys.argv[1])])\n"
        "time.sleep(4)\n"
    )
    parent_read, parent_write = os.pipe()
    environment = {**os.environ, "BERTH_DATA_DIR": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(parent_read)], pass_fds=[parent_read], env=environment, cwd=settings.BASE_DIR
    )
    os.close(parent_read)
    deadline = time.monotonic() + 15
    while not (tmp_path / "s").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.close(parent_write)
    while (tmp_path / "s").exists():
        assert time.monotonic() < deadline, "the gateway outlives its lifeline"
        time.sleep(0.05)
    parent.kill()
    parent.wait()


def test_the_process_is_small(setting, picows_process):
    status = Path(f"/proc/{picows_process.child.pid}/status").read_text()
    assert int(re.search(r"VmRSS:\s+(\d+)", status)[1]) < 72 * 1024


def test_doors_that_cannot_open_give_one_sentence(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = subprocess.run(
            [sys.executable, "-m", "broker.gateway", "--listen", f"127.0.0.1:{taken.getsockname()[1]}"],
            env={**os.environ, "BERTH_DATA_DIR": str(tmp_path)}, cwd=settings.BASE_DIR, capture_output=True, text=True,
            timeout=30,
        )  # fmt: skip
    assert result.returncode == 1
    assert "cannot start" in result.stderr
    assert "Traceback" not in result.stderr
    assert VirtualMachine.objects.count() == 0
