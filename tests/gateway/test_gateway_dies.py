"""A gateway is killed with two hundred consoles on it, and another stands beside it on the same database."""

import asyncio
import os
import time
from datetime import timedelta

import pytest
from django.utils import timezone

from broker.access.actor import Actor
from broker.connections.actions import issue_ticket
from broker.connections.models import Session
from broker.connections.reconcile import tidy
from broker.directories.models import User
from tests.connections.conftest import make_vm, sign_in

from .fakes import Browser, FakeMachine, until
from .test_process import Process, shaken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow, pytest.mark.timeout(240)]
PEOPLE, EACH, AT_ONCE = 40, 5, 20


class Crowd:
    """People with five machines each."""

    def __init__(self, world, socket: str):
        self.places = []
        for number in range(PEOPLE):
            user = User.objects.create(directory=world.directory, username=f"p{number}", password="!")
            world.grant(user, "vm-user")
            actor = Actor(user=user, name=user.username, address="127.0.0.1", session_key=sign_in(user))
            for screen in range(EACH):
                vm = make_vm(world, f"desk-{number}-{screen}", consoles=[{"kind": "vnc", "unix": socket}])
                self.places.append((actor, vm))

    async def opened(self, process: Process) -> list[Browser]:
        """All their consoles, each with a ticket of now."""
        free = asyncio.Semaphore(AT_ONCE)

        async def one(actor, vm) -> Browser:
            async with free:
                ticket = await asyncio.to_thread(issue_ticket, actor=actor, vm=vm)
                return await shaken(process, ticket.secret, actor.session_key)

        return await asyncio.gather(*(one(*place) for place in self.places))


def descriptors_of(process: Process) -> int:
    return len(os.listdir(f"/proc/{process.child.pid}/fd"))


def test_two_hundred_consoles_come_back_with_fresh_tickets_and_nothing_is_left(world, tmp_path):
    """F36."""
    crowd = Crowd(world, str(tmp_path / "vnc"))
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    first, second = Process(tmp_path / "one"), Process(tmp_path / "two")

    async def run() -> None:
        machine = await FakeMachine(tmp_path / "vnc").start()
        lost = await crowd.opened(first)
        before = descriptors_of(second)
        first.child.kill()
        await asyncio.gather(*(asyncio.wait_for(browser.ws.wait_closed(), 20) for browser in lost))
        dead = await asyncio.to_thread(lambda: list(Session.objects.live().values_list("pk", flat=True)))
        assert len(dead) == len(lost) == 200
        back = await crowd.opened(second)
        for browser in back:
            await browser.ws.send(b"hello")
            assert await browser.read(5) == b"hello"
        long_ago = timezone.now() - timedelta(seconds=46)
        await asyncio.to_thread(Session.objects.filter(pk__in=dead).update, last_seen_at=long_ago)
        assert await asyncio.to_thread(tidy) == 200
        assert await asyncio.to_thread(Session.objects.live().count) == 200
        await asyncio.gather(*(browser.ws.close() for browser in back))
        await until(lambda: descriptors_of(second) <= before + 12, 30)  # the connections of its desk's threads
        await machine.stop()

    try:
        asyncio.run(run())
        deadline = time.monotonic() + 30
        while Session.objects.live().exists():
            assert time.monotonic() < deadline, second.log.read_text()[-2000:]
            time.sleep(0.1)
    finally:
        for process in (first, second):
            process.stop()
    assert set(Session.objects.values_list("close_reason", flat=True)) == {"gone", "finished"}
