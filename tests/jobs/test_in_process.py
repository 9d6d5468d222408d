"""Messages inside one process: who waits for one gets it at once, and nobody looks for it over and over."""

import threading

import pytest
from kombu import Connection, Consumer, Queue

from broker.jobs import in_process

LONG = 300.0


@pytest.fixture
def line():
    in_process.begin()
    with Connection("inside://") as line:
        yield line


@pytest.fixture
def queue(request):
    return Queue(f"queue-of-{request.node.name}")


def consume(line, queue, taken, *, most=0):
    """A consumer that notes what it takes and settles nothing."""
    channel = line.channel()
    if most:
        channel.basic_qos(0, most, False)
    consumer = Consumer(channel, [queue], callbacks=[lambda body, message: taken.append(message)])
    consumer.consume()
    return consumer


def put(line, queue, body):
    line.Producer().publish(body, routing_key=queue.name, exchange=queue.exchange, declare=[queue])


def drained(line):
    """A thread that waits for one message, for longer than any test may take."""
    thread = threading.Thread(target=line.drain_events, kwargs={"timeout": LONG}, daemon=True)
    thread.start()
    return thread


def test_one_that_comes_later_is_delivered_to_who_waits(line, queue):
    taken = []
    consume(line, queue, taken)
    thread = drained(line)
    put(line, queue, "wake")
    thread.join(60)
    assert [message.payload for message in taken] == ["wake"]


def test_one_that_was_there_before_is_delivered(line, queue):
    put(line, queue, "early")
    taken = []
    consume(line, queue, taken)
    line.drain_events(timeout=LONG)
    assert [message.payload for message in taken] == ["early"]


def test_nothing_comes(line, queue):
    consume(line, queue, [])
    with pytest.raises(TimeoutError):
        line.drain_events(timeout=0.05)


@pytest.mark.parametrize("settle", ["ack", "reject"])
def test_who_takes_one_at_a_time_goes_on_when_that_is_settled(line, queue, settle):
    taken = []
    consume(line, queue, taken, most=1)
    put(line, queue, "first")
    put(line, queue, "second")
    line.drain_events(timeout=LONG)
    with pytest.raises(TimeoutError):
        line.drain_events(timeout=0.05)
    thread = drained(line)
    getattr(taken[0], settle)()
    thread.join(60)
    assert [message.payload for message in taken] == ["first", "second"]


def test_it_sleeps_while_there_is_nothing(line, queue, monkeypatch):
    """It looks once, and once more for each thing that happens."""
    looks = []
    consume(line, queue, [])
    cycle = line.transport.cycle
    get = cycle.get
    monkeypatch.setattr(cycle, "get", lambda *args, **kwargs: (looks.append(1), get(*args, **kwargs)))
    with pytest.raises(TimeoutError):
        line.drain_events(timeout=0.5)
    assert len(looks) == 1
