"""News goes out after the commit, to subscribers at once and to browsers' event loop from any thread."""

import asyncio
import queue
import statistics
import threading
import time

import pytest
from channels.layers import channel_layers
from django.db import transaction

from broker.events import news
from broker.events.layer import EmbeddedChannelLayer
from broker.events.news import publish, subscribe
from broker.events.outbox import GROUP, Outbox


@pytest.fixture
def layer(monkeypatch):
    """A fresh layer in place of the one of the process."""
    layer = EmbeddedChannelLayer()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    return layer


@pytest.fixture
def heard(monkeypatch):
    """What a subscriber to "kite" hears."""
    monkeypatch.setattr(news, "_subscribers", type(news._subscribers)(list))
    heard = []
    subscribe("kite")(lambda id, change: heard.append((id, change)))
    return heard


@pytest.mark.django_db(transaction=True)
class TestPublish:
    def test_nothing_is_told_before_the_commit(self, heard):
        with transaction.atomic():
            publish("kite", 7, "up")
            assert heard == []
        assert heard == [("7", "up")]

    def test_nothing_is_told_of_what_was_taken_back(self, heard):
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            publish("kite", 7)
            _ = 1 / 0
        assert heard == []

    def test_other_kinds_are_not_for_this_subscriber(self, heard):
        publish("boat", 7)
        assert heard == []

    def test_a_subscriber_that_fails_keeps_nobody_else_from_hearing(self, heard, layer, caplog):
        later = []

        def fail(id, change):
            raise ValueError("torn")

        subscribe("kite")(fail)
        subscribe("kite")(lambda id, change: later.append(id))
        publish("kite", 7)
        assert (heard, later) == ([("7", "changed")], ["7"])
        assert "subscriber to kite failed" in caplog.text


class Distant:
    """A layer of another process, as Redis is; `hinders` is awaited before each message is taken."""

    def __init__(self, hinders=None):
        self.hinders, self.taken, self.asked = hinders, queue.Queue(), threading.Event()

    async def group_send(self, group, message):
        self.asked.set()
        if self.hinders:
            await self.hinders()
        self.taken.put((group, message))


@pytest.fixture
def distant(monkeypatch):
    """A distant layer in place of the one of the process, and an outbox of its own."""
    monkeypatch.setattr(news, "OUTBOX", Outbox())
    layer = Distant()
    monkeypatch.setitem(channel_layers.backends, "default", layer)
    return layer


class TestOtherProcesses:
    def test_news_reach_them(self, distant):
        news._deliver("vm", "7", "power")
        told = {"kind": "vm", "id": "7", "change": "power"}
        assert distant.taken.get(timeout=5) == (GROUP, {"type": "news", "changes": [told]})

    def test_what_comes_while_one_is_under_way_goes_together_and_once(self, distant):
        go = threading.Event()

        async def wait():
            await asyncio.to_thread(go.wait, 5)

        distant.hinders = wait
        news._deliver("vm", "first", "power")
        assert distant.asked.wait(5)
        for id in ("7", "8", "7", "9"):
            news._deliver("vm", id, "power")
        news._deliver("vm", "7", "changed")
        go.set()
        first, rest = (distant.taken.get(timeout=5)[1]["changes"] for _ in range(2))
        assert [one["id"] for one in first] == ["first"]
        assert [(one["id"], one["change"]) for one in rest] == [
            ("7", "power"), ("8", "power"), ("9", "power"), ("7", "changed")
        ]  # fmt: skip

    def test_nobody_waits_for_a_layer_that_hangs(self, distant):
        async def hang():
            await asyncio.sleep(60)

        distant.hinders = hang
        began = time.monotonic()
        for number in range(100):
            news._deliver("vm", str(number), "power")
        assert time.monotonic() - began < 1
        assert distant.asked.wait(5)
        assert distant.taken.empty()

    def test_a_layer_that_is_away_is_complained_of_once_and_used_again(self, distant, caplog):
        async def refuse():
            raise ConnectionRefusedError("redis is away")

        distant.hinders = refuse
        for number in range(5):
            distant.asked.clear()
            news._deliver("vm", str(number), "power")
            assert distant.asked.wait(5)
        distant.hinders = None
        news._deliver("vm", "7", "power")
        assert {"kind": "vm", "id": "7", "change": "power"} in distant.taken.get(timeout=5)[1]["changes"]
        assert caplog.text.count("redis is away") == 1


async def _listen(layer, count: int, sender) -> list[dict]:
    """What arrives at a member of the group while `sender` runs in a thread of its own."""
    channel = await layer.new_channel()
    await layer.group_add(GROUP, channel)
    waiting = asyncio.ensure_future(layer.receive(channel))
    await asyncio.sleep(0)  # the receiver is there before anybody sends
    thread = threading.Thread(target=sender)
    thread.start()
    changes = list((await asyncio.wait_for(waiting, 5))["changes"])
    while len(changes) < count:
        changes += (await asyncio.wait_for(layer.receive(channel), 5))["changes"]
    await asyncio.to_thread(thread.join, 5)
    return [{**change, "arrived": time.monotonic()} for change in changes]


async def test_from_a_thread_to_a_browser_in_less_than_50_ms(layer):
    delays = []

    async def hear_one():
        sent = []

        def send():
            time.sleep(0.02)  # the loop sleeps by then: it must be woken, not found awake
            sent.append(time.monotonic())
            news._deliver("vm", "7", "power")

        (message,) = await _listen(layer, 1, send)
        assert (message["kind"], message["id"], message["change"]) == ("vm", "7", "power")
        return message["arrived"] - sent[0]

    for _ in range(20):
        delays.append(await hear_one())
    assert statistics.median(delays) < 0.05, delays


async def test_a_burst_from_many_threads_arrives_whole(layer):
    def send():
        threads = [threading.Thread(target=news._deliver, args=("vm", str(number), "power")) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)

    messages = await _listen(layer, 40, send)
    assert {message["id"] for message in messages} == {str(number) for number in range(40)}


def test_while_nobody_listens_nothing_happens(layer):
    news._deliver("vm", "7", "power")
    assert layer.channels == {}


def test_after_the_listeners_loop_has_ended_nothing_happens(layer):
    asyncio.run(_listen(layer, 1, lambda: news._deliver("vm", "7", "power")))
    news._deliver("vm", "8", "power")
