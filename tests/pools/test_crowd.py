"""Many clients at the same instant: nobody gets somebody else's desktop, nobody more than allowed (F33).

Real threads, each with its own database connection, all let go at once.
"""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections

from broker.access.actor import Actor
from broker.access.roles import sync_builtin_roles
from broker.core.errors import NoCapacity
from broker.directories.models import Group, User
from pools.actions.allocate import allocate
from pools.actions.release import release
from pools.models import Assignment, Desktop, Pool
from tests.pools.conftest import free_rows
from tests.world import World


def crowd(world: World, count: int) -> list[User]:
    """Users who are all in `staff`."""
    users = User.objects.bulk_create(
        User(directory=world.directory, username=f"user{number}", password="!") for number in range(count)
    )
    Group.objects.get(pk=world.staff.pk).members.add(*users)
    return users


def all_at_once(jobs):
    """Run the callables in threads that start together; returns their results, or the errors they raised."""
    gate = threading.Barrier(len(jobs))

    def run(job):
        try:
            connection.ensure_connection()
            gate.wait(60)
            return job()
        except Exception as error:
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(run, jobs))


def pool_of(world: World, size: int, **values) -> Pool:
    values = {"name": "desk", "title": "Desks", **values}
    pool = Pool.objects.create(
        cluster=world.cluster, template=world.template, storage=world.storage, size=size, **values
    )
    world.grant(world.staff, "pool-user", pool)
    free_rows(pool, world, size)
    return pool


def take(pool: Pool, user: User):
    return lambda: allocate(actor=Actor.for_user(User.objects.get(pk=user.pk)), pool=Pool.objects.get(pk=pool.pk))


def check_consistent(pool: Pool) -> None:
    """One open assignment per held desktop, of its holder; none for the others."""
    held = dict(Desktop.objects.filter(pool=pool, holder__isnull=False).values_list("pk", "holder"))
    open_ones = list(Assignment.objects.filter(until=None).values_list("desktop", "user"))
    assert len(open_ones) == len(held)
    assert dict(open_ones) == held


@pytest.fixture
def parallel():
    """How many clients: what each database is promised to bear."""
    return 60 if connection.vendor == "postgresql" else 20


@pytest.fixture
def people(transactional_db, monkeypatch):
    """The cast; on PostgreSQL each thread gets a connection of its own instead of queueing for the process's few."""
    connection.close()
    monkeypatch.delitem(connections.settings["default"]["OPTIONS"], "pool", raising=False)
    sync_builtin_roles()
    yield World.build()
    connection.close()


class Crowd:
    def test_each_gets_a_desktop_of_their_own(self, people, parallel):
        pool = pool_of(people, parallel)
        users = crowd(people, parallel)
        results = all_at_once([take(pool, user) for user in users])
        assert [result for result in results if isinstance(result, Exception)] == []
        assert Counter(result.desktop.pk for result in results).most_common(1)[0][1] == 1
        assert {result.state for result in results} == {"ready"}
        check_consistent(pool)

    def test_too_few_desktops_all_go_and_the_rest_are_told(self, people, parallel):
        size = parallel // 2
        pool = pool_of(people, size)
        results = all_at_once([take(pool, user) for user in crowd(people, parallel)])
        served = [result for result in results if not isinstance(result, Exception)]
        assert len({result.desktop.pk for result in served}) == len(served) == size
        refused = [result for result in results if isinstance(result, Exception)]
        assert {type(result) for result in refused} == {NoCapacity}
        check_consistent(pool)

    def test_one_user_in_many_tabs_gets_no_more_than_allowed(self, people, parallel):
        pool = pool_of(people, parallel, max_per_user=2)
        user = crowd(people, 1)[0]
        results = all_at_once([take(pool, user) for _ in range(parallel)])
        assert [result for result in results if isinstance(result, Exception)] == []
        assert len({result.desktop.pk for result in results}) == 2
        assert Desktop.objects.filter(holder=user).count() == 2
        check_consistent(pool)

    def test_taking_and_giving_back_in_a_row(self, people, parallel):
        pool = pool_of(people, parallel // 4, stateful=True)

        def visit(user: User):
            def go():
                for _ in range(4):
                    try:
                        got = take(pool, user)()
                    except NoCapacity:
                        continue
                    release(actor=Actor.for_user(user), desktop=got.desktop)

            return go

        results = all_at_once([visit(user) for user in crowd(people, parallel)])
        assert [result for result in results if result is not None] == []
        assert Desktop.objects.filter(pool=pool, state="free").count() == parallel // 4
        assert not Assignment.objects.filter(until=None).exists()


@pytest.mark.django_db(transaction=True)
class TestOnTheDatabaseOfTheRun(Crowd):
    """SQLite in the fast lane; PostgreSQL when the whole run is on it."""


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
class TestOnPostgres(Crowd):
    def test_it_is_postgres(self):
        assert connection.vendor == "postgresql", "run with: python -m tests.servers.postgres -- pytest -m postgres"
