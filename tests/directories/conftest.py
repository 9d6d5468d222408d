"""A real slapd for the whole run, empty before each test, and a Directory row that uses it."""

import pytest

from broker.directories.kinds.ldap import kept, line
from broker.directories.kinds.ldap.secret import sealed
from broker.directories.models import Directory
from tests.servers import slapd as servers


@pytest.fixture(scope="session")
def one_slapd():
    with servers.running() as server:
        yield server


@pytest.fixture
def slapd(one_slapd):
    one_slapd.clear()
    line.forget()
    kept.forget()
    yield one_slapd
    line.forget()
    kept.forget()


@pytest.fixture
def make_directory(world, slapd):
    def make(name="Site", **changes) -> Directory:
        return Directory.objects.create(
            name=name, kind="ldap", config=slapd.config(**changes), secret=sealed(servers.READER_PASSWORD)
        )

    return make


@pytest.fixture
def directory(make_directory):
    return make_directory()
