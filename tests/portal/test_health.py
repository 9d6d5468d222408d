"""/healthz says that the process answers, /readyz that its database and a worker are there."""

from datetime import timedelta

import pytest
from django.db import connection
from django.db.utils import OperationalError

from broker.core import clock
from broker.jobs import duties
from broker.jobs.duties import Duty
from portal.health import SILENT_SECONDS


def asked(client, path: str) -> tuple[int, dict]:
    answer = client.get(path)
    return answer.status_code, answer.json()


@pytest.fixture
def away(monkeypatch):
    """A database that nobody can reach."""

    def refuse():
        raise OperationalError("could not connect to postgresql://berth:secret@db/berth")

    monkeypatch.setattr(connection, "ensure_connection", refuse)


def test_alive_without_a_database(client, away):
    assert asked(client, "/healthz") == (200, {"status": "ok"})


def test_ready_when_a_worker_ran_a_duty(client, db):
    assert duties.run("jobs.wake", "broker.jobs.waker.wake_due", 2.0)
    assert asked(client, "/readyz") == (200, {"status": "ok"})


def test_not_ready_before_any_worker(client, db):
    status, said = asked(client, "/readyz")
    assert (status, said["status"]) == (503, "no worker")


def test_not_ready_when_the_workers_fell_silent(client, db):
    Duty.objects.create(name="jobs.wake", began_at=clock.now() - timedelta(seconds=SILENT_SECONDS + 1))
    status, said = asked(client, "/readyz")
    assert (status, said["status"]) == (503, "no worker")


def test_not_ready_without_a_database_and_no_secret_said(client, away):
    status, said = asked(client, "/readyz")
    assert (status, said["status"]) == (503, "no database")
    assert "secret" not in str(said)
