"""References to other servers, and to the very place they are at: never followed, nobody's password told to anybody."""

import time

import pytest
from ldap.controls.simple import ManageDSAITControl

from broker.core.errors import Unavailable
from broker.directories.kinds.ldap import KIND
from broker.directories.kinds.ldap.sync import follow
from broker.directories.models import User
from tests.servers import bad_ldap
from tests.servers.slapd import PEOPLE, SUFFIX

PASSWORD = "secret of theirs"


@pytest.fixture
def refer(slapd):
    """`refer(dn, url)`: an entry that is a reference; taken away afterwards."""
    made = []

    def make(dn, *urls):
        name = dn.split(",")[0].partition("=")[2]
        made.append(slapd.add(dn, objectClass=["referral", "extensibleObject"], ou=name, ref=list(urls)))
        return dn

    yield make
    for dn in made:
        slapd.root.delete_ext_s(dn, serverctrls=[ManageDSAITControl()])


@pytest.fixture
def elsewhere():
    """A server that somebody's reference names, and who called there."""
    calls = []

    def take(line):
        calls.append(line.recv(4096))
        bad_ldap.silent(line)

    with bad_ldap.serving(take) as port:
        yield f"ldap://127.0.0.1:{port}", calls


def enter(directory, name="erin"):
    return KIND.authenticate(directory, name, PASSWORD, seconds=20.0)


def test_references_among_the_people_are_not_followed(slapd, directory, refer, elsewhere):
    """One in a circle, one to the place it is in, one to a stranger."""
    url, calls = elsewhere
    refer(f"ou=loop,{PEOPLE}", f"{slapd.url}/ou=loop,{PEOPLE}")
    refer(f"ou=up,{PEOPLE}", f"{slapd.url}/{PEOPLE}")
    refer(f"ou=away,{PEOPLE}", f"{url}/{PEOPLE}??sub")
    slapd.group("devs", slapd.person("erin"))
    user = enter(directory)
    assert user is not None and user.directory_groups.get().name == "devs"
    follow(directory)
    assert set(User.objects.filter(directory=directory).values_list("username", flat=True)) == {"erin"}
    assert calls == []


def test_a_place_that_only_refers_elsewhere_is_no_wrong_password(slapd, make_directory, refer, elsewhere):
    url, calls = elsewhere
    for number, target in enumerate((f"{slapd.url}/ou=moved0,{SUFFIX}", f"{url}/{PEOPLE}")):
        base = refer(f"ou=moved{number},{SUFFIX}", target)
        directory = make_directory(f"Moved {number}", user_base=base)
        began = time.monotonic()
        with pytest.raises(Unavailable):
            enter(directory)
        with pytest.raises(Unavailable):
            follow(directory)
        assert time.monotonic() - began < 15
    assert calls == []


def test_an_entry_that_turned_into_a_reference_lets_nobody_in(slapd, directory, refer, elsewhere):
    url, calls = elsewhere
    dn = slapd.person("erin")
    assert enter(directory) is not None
    slapd.root.delete_s(dn)
    refer(f"ou=erin,{PEOPLE}", f"{url}/{dn}")
    assert enter(directory) is None and calls == []
