"""Revalidation: endings are carried out, and what happens when nobody answers."""

import asyncio

import pytest

from broker.gateway import closing as why
from broker.gateway.watch import Watch

from .fakes import start_gateway, stop_gateway, until

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


async def test_a_round_tells_what_runs_and_ends_what_must(gateway, machine):
    async with gateway.shaken(machine.target) as one, gateway.shaken(machine.target) as other:
        watch = Watch(gateway.floor)
        await watch.round()
        assert {console.session for console in gateway.desk.seen} == {
            console.alive().session for console in gateway.floor.consoles.all()
        }
        gateway.desk.endings = {gateway.desk.seen[0].session: why.RIGHT_LOST}
        await watch.round()
        await until(lambda: gateway.desk.ended)
        assert gateway.desk.ended[0][1] is why.RIGHT_LOST
        await until(lambda: {one.ws.close_code, other.ws.close_code} == {4403, None})


async def test_consoles_outlive_a_short_silence_of_the_desk_but_not_a_long_one(engine_name, machine):
    gateway = await start_gateway(engine_name, revalidate_every=0.2, blind=1.0)

    def broken(alive):
        raise OSError("the database is away")

    gateway.desk.revalidate = broken
    watching = asyncio.create_task(Watch(gateway.floor).run())
    async with gateway.shaken(machine.target) as browser:
        await asyncio.sleep(0.6)
        await browser.ws.send(b"still here")
        assert await browser.read(10) == b"still here"
        await asyncio.wait_for(browser.ws.wait_closed(), 5)
        assert browser.ws.close_reason == "internal"
    watching.cancel()
    await stop_gateway(gateway)
