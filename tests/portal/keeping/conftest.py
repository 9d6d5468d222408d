"""An installation that is lived in, its archive, and a new one to restore it into, on the module's engine.

A process with all of Berth in it takes a second to begin, so what several tests ask of one installation is asked once.
"""

from contextlib import nullcontext

import pytest

from .installation import Installation


@pytest.fixture(scope="module")
def server():
    """`server(migrated=True)`: a context with the URL of a database; "" for SQLite, which needs none."""
    return lambda *, migrated=False: nullcontext("")


@pytest.fixture(scope="module")
def lived_in(server, tmp_path_factory):
    """`before`: its rows when the archive was made; `secrets`: what its key opens."""
    with server(migrated=True) as url:
        one = Installation(tmp_path_factory.mktemp("old"), url).migrated()
        one.secrets = one.life("fill")
        yield one


@pytest.fixture(scope="module")
def archive(lived_in, tmp_path_factory):
    path = tmp_path_factory.mktemp("kept") / "manager.tar"
    lived_in.before = lived_in.rows()
    lived_in.manage("backup_manager", path)
    return path


@pytest.fixture
def new(server, tmp_path):
    folder = tmp_path / "new"
    folder.mkdir()
    with server() as url:
        yield Installation(folder, url)


@pytest.fixture
def migrated(server, tmp_path):
    """One more, with all tables and nothing in them."""
    with server(migrated=True) as url:
        yield Installation(tmp_path / "migrated", url).migrated()
