"""Statements that are built once do what the querysets they come from do, each time with the values of that time."""

import contextlib
import uuid
from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    IntegrityError,
    InternalError,
    OperationalError,
    close_old_connections,
    connection,
    connections,
    transaction,
)
from django.db.models import CharField, F
from django.test.utils import CaptureQueriesContext

from broker import prepared, sql
from broker.core import clock
from broker.directories.models import User
from broker.events.models import Event
from broker.jobs.models import Job, Step
from broker.sql import Given, Statement, given, time, written

pytestmark = pytest.mark.django_db


def job(**values) -> Job:
    return Job.objects.create(**{"plan": "p", "title": "t", "subject_kind": "vm", "subject_id": uuid.uuid4(), **values})


NAMED = Statement(
    lambda: (
        Job.objects.filter(plan=Given("plan", CharField()), created_at__gt=time("since"))
        .order_by("title")
        .values_list("pk", "args", "error", "cancel_requested", "created_at")
    )
)


def test_rows_are_as_values_list_gives_them():
    before = clock.now() - timedelta(hours=1)
    one, other = job(title="a", args={"start": True}), job(title="b", error={"code": "x"}, cancel_requested=True)
    job(plan="another")
    for _ in range(2):
        found = NAMED.rows(plan="p", since=before)
        assert found == [(row.pk, row.args, row.error, row.cancel_requested, row.created_at) for row in (one, other)]
    assert NAMED.rows(plan="p", since=clock.now() + timedelta(hours=1)) == []
    assert [row[0] for row in NAMED.rows(plan="another' OR 1=1 --", since=before)] == []


def test_an_update_takes_values_and_expressions():
    statement = Statement(
        lambda: (
            written(Job)
            .filter(pk=Given("job"))
            .update(epoch=F("epoch") + 1, **given(Job, "error", "args", "worker", "finished_at"))
        )
    )
    row, untouched, at = job(), job(), clock.now()
    values = {"error": {"code": "é"}, "args": {"a": [1]}, "worker": "w", "finished_at": at}
    assert statement.run(job=row.pk, **values) == 1
    row.refresh_from_db()
    assert {name: getattr(row, name) for name in values} == values
    assert statement.run(job=row.pk, error=None, args={}, worker="", finished_at=None) == 1
    assert Job.objects.filter(pk=row.pk, error__isnull=True, epoch=2, finished_at__isnull=True).exists()
    assert statement.run(job=uuid.uuid4(), **values) == 0
    untouched.refresh_from_db()
    assert untouched.epoch == 0


def test_get_is_the_whole_row(world):
    row = sql.get(User, str(world.alice.pk))
    with CaptureQueriesContext(connection) as queries:
        assert row == world.alice
        assert (row.username, row.preferences, row.created_at) == ("alice", {}, world.alice.created_at)
    assert not queries.captured_queries
    row.display_name = "Alice L."
    row.save()
    assert sql.get(User, world.alice.pk).display_name == "Alice L."
    with pytest.raises(User.DoesNotExist):
        sql.get(User, uuid.uuid4())
    with pytest.raises(ValidationError):
        sql.get(User, "no key")


def test_what_is_added_is_there():
    event = sql.add(Event(at=clock.now(), kind="k", actor_name="n", template="t", params={"a": "ü"}))
    assert Event.objects.get(pk=event.pk).params == {"a": "ü"}
    event.template = "other"
    event.save()
    assert Event.objects.get().template == "other"
    row = job()
    with pytest.raises(IntegrityError):
        sql.add(Job(plan="p", title="t", subject_kind="vm", subject_id=row.subject_id))


def test_what_is_there_is_not_added_again():
    row = job()
    for title in ("first", "second"):
        sql.add_unless_there(Step(job=row, index=0, name="n", title=title))
    assert [step.title for step in row.steps.all()] == ["first"]


def test_part_of_a_row_reads_the_rest_when_asked(world):
    row = sql.part_of(User, id=world.alice.pk, username="alice", directory=world.directory)
    with CaptureQueriesContext(connection) as queries:
        assert (row.username, row.directory) == ("alice", world.directory)
    assert not queries.captured_queries
    assert row.display_name == "Alice"


def test_many_rows_are_written_by_few_statements(monkeypatch):
    """Values of every kind, nulls alone in their column too, each into its own row."""
    monkeypatch.setattr(sql, "ROWS_AT_ONCE", 3)
    names = ("error", "args", "worker", "epoch", "cancel_requested", "finished_at")
    untouched, at = job(worker="x"), clock.now()
    rows = [job(worker="before", error={"code": "before"}, finished_at=at) for _ in range(8)]
    for number, row in enumerate(rows):
        row.error, row.finished_at, row.worker = None, None, f"w'{number}"
        row.args, row.epoch, row.cancel_requested = {"é": [number, None]}, 2**31 - 1 - number, bool(number % 2)
    rows[7].error, rows[7].finished_at, rows[7].title = {"code": "%s"}, at + timedelta(microseconds=1), "not written"
    with CaptureQueriesContext(connection) as captured:
        assert sql.write_rows(rows, names) == 8
    assert len(captured) == 3
    for row in rows:
        stored = Job.objects.get(pk=row.pk)
        assert [getattr(stored, name) for name in names] == [getattr(row, name) for name in names]
        assert stored.title == "t"
    assert Job.objects.get(pk=untouched.pk).worker == "x"
    assert sql.write_rows([], names) == 0


def test_objects_are_rows_with_what_select_related_brings(world):
    of_name = Statement(
        lambda: User.objects.filter(username=Given("name", CharField())).select_related("directory").order_by()
    )
    for person in (world.alice, world.bob):
        (row,) = of_name.objects(name=person.username)
        with CaptureQueriesContext(connection) as queries:
            assert row == person and row.directory == world.directory
            assert (row.preferences, row.created_at) == (person.preferences, person.created_at)
        assert not queries.captured_queries
        row.display_name = f"{person.username} anew"
        row.save()
        assert User.objects.get(pk=row.pk).display_name == f"{person.username} anew"
    assert of_name.objects(name="nobody") == []


def test_what_select_related_finds_nothing_for_is_none():
    alone = Statement(lambda: Job.objects.filter(pk=Given("job")).select_related("actor").order_by())
    (row,) = alone.objects(job=job().pk)
    assert row.actor is None


def test_deleted_rows_are_gone_and_no_others():
    statement = Statement(lambda: sql.deleted(Event.objects.filter(kind=Given("kind", CharField()))))
    for kind in ("a", "a", "b"):
        sql.add(Event(at=clock.now(), kind=kind, actor_name="n", template="t", params={}))
    assert statement.run(kind="a") == 2
    assert statement.run(kind="a") == 0
    assert [event.kind for event in Event.objects.all()] == ["b"]


def test_what_is_yet_to_be_given_is_never_part_of_a_text():
    """SQLite's iexact makes a pattern of what it compares with, long before there is a value."""
    with pytest.raises(TypeError, match="name"):
        f"{Given('name', CharField())}%"


@pytest.mark.postgres
class TestKept:
    """What PostgreSQL keeps of them, and what happens when it does not any more."""

    def test_they_are_kept_under_their_own_names_and_not_too_many(self, monkeypatch):
        monkeypatch.setattr(prepared, "MOST_KEPT", 2)
        _forget()
        for number in range(3):
            statement = Statement(
                lambda number=number: Job.objects.filter(plan=Given("plan", CharField()))[: number + 1].values_list(
                    "pk"
                )
            )
            for _ in range(2):
                assert statement.rows(plan="100%s") == []
        assert len(_kept()) == 2
        assert all("$1" in text and "%s" not in text for text in _kept())

    def test_errors_are_those_of_django_and_the_next_one_works(self):
        row = job()
        with pytest.raises(IntegrityError), transaction.atomic():
            sql.add(Job(plan="p", title="t", subject_kind="vm", subject_id=row.subject_id))
        with pytest.raises(InternalError), transaction.atomic():
            with contextlib.suppress(IntegrityError):
                sql.add(Job(plan="p", title="t", subject_kind="vm", subject_id=row.subject_id))
            NAMED.rows(plan="p", since=row.created_at)
        assert [found[0] for found in NAMED.rows(plan="p", since=row.created_at - timedelta(1))] == [row.pk]

    @pytest.fixture
    def forgotten(self, transactional_db):
        """The connection is the next test's, too."""
        yield
        _forget()

    def test_one_that_is_gone_is_made_anew(self, forgotten):
        """At once outside of a transaction; inside, the one after."""
        before = clock.now()
        for inside in (False, True):
            assert NAMED.rows(plan="p", since=before) == []
            with connection.cursor() as cursor:
                cursor.execute("DEALLOCATE ALL")
            if inside:
                with pytest.raises(DatabaseError), transaction.atomic():
                    NAMED.rows(plan="p", since=before)
            assert NAMED.rows(plan="p", since=before) == []

    @pytest.mark.django_db(transaction=True)
    def test_a_lost_connection_is_told_as_such_and_replaced(self):
        before = clock.now()
        assert NAMED.rows(plan="p", since=before) == []
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (victim,) = cursor.fetchone()
        other = connections.create_connection(DEFAULT_DB_ALIAS)
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [victim])
        finally:
            other.close()
        with pytest.raises(OperationalError):
            NAMED.rows(plan="p", since=before)
        close_old_connections()
        assert NAMED.rows(plan="p", since=before) == []

    @pytest.mark.django_db(transaction=True)
    def test_a_transaction_begins_and_is_taken_back(self):
        with contextlib.suppress(ZeroDivisionError), transaction.atomic():
            sql.add(Event(at=clock.now(), kind="k", actor_name="n", template="t", params={}))
            raise ZeroDivisionError
        assert not Event.objects.exists()


def _forget() -> None:
    """The connection is as if no statement had ever been kept on it."""
    with connection.cursor() as cursor:
        cursor.execute("DEALLOCATE ALL")
    vars(connection.connection).pop("_berth_keeper", None)


def _kept() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements WHERE name LIKE 'berth%%'")
        return [text for (text,) in cursor.fetchall()]
