"""The consumers of one process, on a real Redis."""

import pytest

from broker.celery import app
from portal.processes.worker import workers
from tests.servers import redis


@pytest.fixture
def consumers(monkeypatch):
    """Both, consuming."""
    with redis.running() as address:
        monkeypatch.setattr(app.conf, "broker_url", f"redis://{address}/0")
        started = workers()
        for worker in started:
            worker.start()
        yield started
        for worker in started:
            worker.stop()


def test_each_has_an_event_loop_of_its_own(consumers):
    """Celery would have the second take the first one's, and each then loses answers to the other."""
    assert all(worker.ready.wait(20) for worker in consumers)
    jobs, duties = (worker._controller.hub for worker in consumers)
    assert jobs is not duties
    assert not set(jobs.readers) & set(duties.readers), "no line is read by both"
