"""The clipboard's ways and the speed, enforced on the wire by both engines."""

import itertools
import struct
import time

import pytest

from broker.gateway.desk import Admitted, Target, Terms
from broker.gateway.rfb import RfbError
from broker.gateway.rfb.viewonly import ViewOnlyFilter
from broker.gateway.terms import Meter, filter_of

from .fakes import FakeMachine

KEY = struct.pack(">BBxxI", 4, 1, ord("a"))
PLAIN = struct.pack(">BxxxI", 6, 5) + b"paste"


def extended(action: int, payload: bytes = b"") -> bytes:
    return struct.pack(">BxxxiI", 6, -4 - len(payload), action | 1) + payload


CAPS, REQUEST, PEEK, NOTIFY, PROVIDE = (
    extended(1 << bit, b"x" * size) for bit, size in ((24, 4), (25, 0), (26, 0), (27, 0), (28, 9000))
)
ALL = (PLAIN, CAPS, REQUEST, PEEK, NOTIFY, PROVIDE)


@pytest.mark.parametrize(
    ("paste", "copy", "passes"),
    [
        (False, False, ()),
        (True, False, (PLAIN, CAPS, PEEK, NOTIFY, PROVIDE)),
        (False, True, (CAPS, REQUEST, PEEK)),
    ],
)
@pytest.mark.parametrize("piece", [1, 11, 4096, 100_000])
def test_only_what_the_policy_lets_pass_passes(paste, copy, passes, piece):
    stream = b"".join(itertools.chain.from_iterable((KEY, message) for message in ALL)) + KEY
    wanted = b"".join(KEY + (message if message in passes else b"") for message in ALL) + KEY
    one = filter_of(Admitted("s", Target(), terms=Terms(paste=paste, copy=copy)))
    got = b"".join(one.feed(stream[at : at + piece]) for at in range(0, len(stream), piece))
    assert got == wanted
    assert one.held == 0


def test_forbidden_actions_do_not_hide_among_allowed_ones_and_nonsense_ends_it():
    one = ViewOnlyFilter(control=True, paste=True)
    assert one.feed(extended(1 << 25 | 1 << 27)) == b""
    for bad in (struct.pack(">Bxxxi", 6, -2) + b"xx", struct.pack(">BxxxI", 6, 0x80000000) + bytes(8)):
        with pytest.raises(RfbError):
            ViewOnlyFilter(control=True, paste=True).feed(bad)


def test_nothing_is_looked_at_where_all_may_pass():
    assert filter_of(Admitted("s", Target())) is None
    assert filter_of(Admitted("s", Target(), view_only=True)).feed(KEY + PLAIN + REQUEST) == b""


def test_a_meter_lets_a_burst_pass_and_then_the_speed():
    meter = Meter(1000, 0.0)
    assert meter.spend(1000, 0.0) == 0
    assert meter.spend(500, 0.0) == 0.5
    assert meter.spend(500, 1.0) == 0
    assert meter.spend(1, 1.0) == pytest.approx(0.001)
    assert meter.spend(0, 100.0) == 0


@pytest.mark.asyncio
@pytest.mark.timeout(60)
async def test_a_console_comes_no_faster_than_its_policy(gateway, tmp_path):
    machine = await FakeMachine(tmp_path / "fast", script="flood").start()
    secret = gateway.desk.issue(machine.target)
    (key,) = gateway.desk.tickets
    gateway.desk.tickets[key] = Admitted("limited", machine.target, terms=Terms(speed=1_000_000))
    from .fakes import Browser

    async with gateway.open(secret) as ws:
        browser = Browser(ws)
        await browser.shake()
        await browser.read(1_000_000)
        began = time.monotonic()
        await browser.read(1_500_000)
        assert time.monotonic() - began > 0.8, "faster than the policy allows"
        await ws.send(KEY)
    await machine.stop()
