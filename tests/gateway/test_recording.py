"""What an engine records: the machine's side, all of it and nothing else; and the console outlives its recording."""

import os
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from broker.connections.recording.format import KEY_BYTES, read
from broker.gateway.recording import Tape

from .fakes import SERVER_INIT, Browser, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@pytest.fixture
def tape(tmp_path):
    return Tape(uuid4(), str(tmp_path / "recordings" / "one"), os.urandom(KEY_BYTES))


@asynccontextmanager
async def recorded(gateway, machine, tape):
    async with gateway.open(gateway.desk.issue(machine.target, tape=tape)) as ws:
        browser = Browser(ws)
        await browser.shake()
        yield browser


async def test_the_machines_side_is_in_the_file_from_its_first_byte_and_nothing_that_was_typed(gateway, machine, tape):
    machine.script = "keep"
    typed, shown = b"\x04\x01\0\0\0\0\0a" * 3, os.urandom(300_000)
    async with recorded(gateway, machine, tape) as browser:
        await browser.ws.send(typed)
        await until(lambda: bytes(machine.received) == typed)
        machine.writers[0].write(shown)
        assert await browser.read(len(shown)) == shown
    await until(lambda: gateway.desk.recordings)
    assert gateway.desk.recordings == [(tape.recording, "finished", os.path.getsize(tape.path))]
    with open(tape.path, "rb") as file:
        entries = list(read(file, tape.recording, tape.key))
    assert b"".join(entry.data for entry in entries) == SERVER_INIT + shown
    times = [entry.at for entry in entries]
    assert times == sorted(times)


async def test_the_console_goes_on_when_its_recording_cannot(gateway, machine, tape, tmp_path):
    (tmp_path / "recordings").write_text("no directory")
    async with recorded(gateway, machine, tape) as browser:
        await until(lambda: gateway.desk.recordings)
        assert gateway.desk.recordings == [(tape.recording, "failed", 0)]
        block = os.urandom(100_000)
        await browser.ws.send(block)
        assert await browser.read(len(block)) == block


async def test_a_disk_that_fills_up_ends_the_recording_only(gateway, machine, tape):
    """/dev/full refuses every write as a full disk does."""
    gateway.floor.scribe._opener = lambda path: open("/dev/full", "wb")  # noqa: SIM115 - the scribe closes it
    async with recorded(gateway, machine, tape) as browser:
        await until(lambda: gateway.desk.recordings)
        assert gateway.desk.recordings[0][1] == "full"
        await browser.ws.send(b"still here")
        assert await browser.read(10) == b"still here"
