"""One SPICE session whose channels come to two gateways that stand side by side."""

import contextlib

import pytest

from broker.gateway import closing as why

from .fakes import start_gateway, stop_gateway, until
from .spice_fakes import CONNECTION
from .test_door import public_port
from .test_spice_sessions import (
    CURSOR,
    DISPLAY,
    INPUTS,
    MAIN,
    Browser,
    Native,
    main_channel,
    refused,
    spice,  # noqa: F401
    way,  # noqa: F401
)

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(60)]


@contextlib.asynccontextmanager
async def another_gateway(one, folder):
    """Side by side with the first, over the same desk."""
    (folder / "two").mkdir()
    if isinstance(one, Browser):
        gateway = await start_gateway("picows", desk=one.desk)
        yield Browser(gateway)
        await stop_gateway(gateway)
    else:
        async with public_port("picows", folder / "two", desk=one.desk) as public:
            yield Native(public)


async def test_channels_may_come_to_another_gateway(way, spice, tmp_path):  # noqa: F811
    secret = way.issue(spice.target)
    async with another_gateway(way, tmp_path) as other:
        await refused(other, secret, DISPLAY, 0, CONNECTION)
        async with way.open(secret) as main:
            await main_channel(main)
            async with other.open(secret) as display, other.open(secret) as inputs:
                await display.shake(DISPLAY, 0, CONNECTION)
                assert (await display.message())[0] == 314
                await inputs.shake(INPUTS, 0, CONNECTION)
                await inputs.send(b"typed")
                assert (await inputs.message())[1] == b"typed"
                (console,) = other.floor.consoles.all()
                (first,) = way.floor.consoles.all()
                alive = console.alive()
                assert alive.session == first.alive().session and alive.idle is not None
                await refused(other, secret, MAIN)
                await refused(other, secret, DISPLAY, 0, 0)
                await refused(other, secret, DISPLAY, 0, CONNECTION)
                way.desk.opened[secret] = way.desk.opened[secret][0], 0.0
                await refused(other, secret, CURSOR, 0, CONNECTION)
                other.floor.consoles.end({alive.session: why.ENDED})
                for pipe in (display, inputs):
                    with pytest.raises(ConnectionError):
                        while True:
                            await pipe.message()
            await until(lambda: not other.floor.consoles)
            assert not way.desk.ended, "its end is told where the main channel is"
        await until(lambda: way.desk.ended)
        assert len(way.desk.ended) == 1
    assert [kind for _, kind, _ in spice.links] == [MAIN, DISPLAY, INPUTS]
