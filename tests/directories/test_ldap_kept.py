"""Lines to a directory that are kept from one sign-in to the next."""

import pytest

from broker.core.errors import Unavailable
from broker.directories.kinds.ldap import KIND, kept
from tests.directories.test_ldap_sign_in import PASSWORD

SECONDS = 2.5


@pytest.fixture
def sign_in(directory, slapd):
    for name in ("erin", "frank"):
        slapd.person(name, PASSWORD)
    return lambda name, password=PASSWORD: KIND.authenticate(directory, name, password, seconds=SECONDS)


@pytest.fixture
def dialled(monkeypatch):
    """The lines that were made."""
    made = []
    real = kept.dial

    def dial(*args, **options):
        made.append(real(*args, **options))
        return made[-1]

    monkeypatch.setattr(kept, "dial", dial)
    return made


def test_the_next_sign_in_has_the_lines_of_the_last(sign_in, dialled):
    assert sign_in("erin").username == "erin"
    assert len(dialled) == 2
    assert sign_in("frank").username == "frank"
    assert sign_in("erin", "wrong") is None
    assert sign_in("nobody") is None
    assert sign_in("erin").username == "erin"
    assert len(dialled) == 2


def test_people_are_searched_by_the_reader_whoever_signed_in_before(sign_in, dialled):
    """A line on which a password was tried is never searched on."""
    sign_in("erin")
    sign_in("frank")
    who = [line.whoami_s() for line in dialled]
    assert sum("cn=reader" in one for one in who) == 1
    assert sum("uid=frank" in one for one in who) == 1


def test_a_dead_line_is_made_anew(sign_in, dialled, slapd):
    sign_in("erin")
    slapd.stop()
    slapd.start()
    assert sign_in("frank").username == "frank"
    assert len(dialled) == 4


def test_a_rested_line_is_closed(sign_in, dialled, monkeypatch):
    sign_in("erin")
    monkeypatch.setattr(kept, "KEPT_SECONDS", 0.0)
    kept._sweep()
    assert not kept._resting
    sign_in("frank")
    assert len(dialled) == 4


def test_one_that_broke_is_not_kept(sign_in, dialled):
    sign_in("erin")
    reader = dialled[0]
    reader.ends = 0.0
    with pytest.raises(Unavailable):
        reader.whoami_s()
    assert sign_in("frank").username == "frank"
    assert reader not in [line for resting in kept._resting.values() for _, line in resting]
