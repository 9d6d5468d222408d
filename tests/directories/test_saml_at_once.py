"""An assertion that is brought along many times at the same moment counts once: the database decides."""

import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from broker.directories.found import Person
from broker.directories.kinds.saml import answers
from broker.directories.kinds.saml.assertion import Said
from broker.directories.models import Directory, ProviderAnswer

MANY = 8
ERIN = Person("id of erin", "erin", "Erin", "", True)


def at_once(call, *arguments) -> list:
    def one(_number: int):
        try:
            return call(*arguments)
        finally:
            connection.close()

    with ThreadPoolExecutor(MANY) as pool:
        return list(pool.map(one, range(MANY)))


class AtOnce:
    def test_one_of_many_is_kept_and_taken_once(self):
        directory = Directory.objects.create(name="Federated", kind="saml")
        said = Said(f"_{secrets.token_hex(8)}", time.time() + 60, "_request", "https://x.example/", ERIN.id, {})
        kept = [one for one in at_once(answers.keep, directory, "issuer", said, ERIN, []) if one]
        assert len(kept) == 1 and ProviderAnswer.objects.count() == 1
        taken = [one for one in at_once(answers.take, directory, kept[0]) if one]
        assert len(taken) == 1 and taken[0].person == ERIN


@pytest.mark.django_db(transaction=True)
class TestOnTheDatabaseOfTheRun(AtOnce):
    """SQLite in the fast lane; PostgreSQL when the whole run is on it."""


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
class TestOnPostgres(AtOnce):
    def test_it_is_postgres(self):
        assert connection.vendor == "postgresql", "run with: python -m tests.servers.postgres -- pytest -m postgres"
