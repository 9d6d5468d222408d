"""Directories that are down, slow, half there or somebody else: said as such, in time, and nobody else is held up.

Rows F37.
"""

import time

import pytest
from django.contrib.auth import authenticate

from broker.core.errors import Unavailable
from broker.directories import backend
from broker.directories.kinds.ldap import line
from broker.directories.models import Directory, User
from tests.servers import bad_ldap
from tests.servers.slapd import authority
from tests.world import PASSWORD as LOCAL_PASSWORD

PASSWORD = "secret of theirs"
MOST_SECONDS = 3.0


@pytest.fixture
def short(monkeypatch):
    """Waits for servers that hang are half a second here; one test waits the real time."""
    monkeypatch.setattr(backend, "LONGEST_SECONDS", 0.5)


def took(function, *args, **kwargs):
    began = time.monotonic()
    try:
        return function(*args, **kwargs), time.monotonic() - began
    except Unavailable as error:
        return error, time.monotonic() - began


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
@pytest.mark.parametrize("start_tls", [True, False], ids=["StartTLS", "plain"])
@pytest.mark.parametrize("behave", [bad_ldap.silent, bad_ldap.half, bad_ldap.babble, bad_ldap.hangs_up])
def test_a_server_that_is_no_use_is_said_to_be_so_in_time(short, make_directory, behave, start_tls, scheme):
    with bad_ldap.serving(behave) as port:
        make_directory(servers=[f"{scheme}://127.0.0.1:{port}"], start_tls=start_tls)
        answer, seconds = took(authenticate, username="ann", password=PASSWORD)
    assert isinstance(answer, Unavailable)
    assert answer.status == 503
    assert str(port) in answer.message
    assert seconds < MOST_SECONDS


def test_somebody_elses_certificate_is_not_believed(make_directory, slapd):
    with bad_ldap.impostor() as port:
        make_directory(servers=[f"ldaps://127.0.0.1:{port}"])
        answer, seconds = took(authenticate, username="ann", password=PASSWORD)
    assert "certificate" in answer.message
    assert seconds < MOST_SECONDS


def test_a_certificate_for_another_machine_is_not_believed(make_directory, slapd):
    key, ca = authority("Both")
    from cryptography.hazmat.primitives.serialization import Encoding

    text = ca.public_bytes(Encoding.PEM).decode()
    with bad_ldap.impostor(same_ca=(key, ca), ip="127.0.0.9") as port:
        make_directory(servers=[f"ldaps://127.0.0.1:{port}"], ca=text)
        answer, seconds = took(authenticate, username="ann", password=PASSWORD)
    assert "certificate" in answer.message
    assert seconds < MOST_SECONDS


def test_the_next_server_answers_when_the_first_hangs_and_is_asked_first_from_then_on(make_directory, slapd):
    slapd.person("ann")
    with bad_ldap.serving(bad_ldap.silent) as port:
        make_directory(servers=[f"ldap://127.0.0.1:{port}", slapd.tls_url])
        user, seconds = took(authenticate, username="ann", password=PASSWORD)
        assert user.username == "ann"
        assert seconds < MOST_SECONDS
        user, again = took(authenticate, username="ann", password=PASSWORD)
    assert user.username == "ann"
    assert again < seconds


def test_a_directory_that_was_just_found_down_is_not_waited_for_again(short, make_directory, slapd):
    with bad_ldap.serving(bad_ldap.silent) as port:
        make_directory(servers=[f"ldap://127.0.0.1:{port}"])
        _, first = took(authenticate, username="ann", password=PASSWORD)
        answer, second = took(authenticate, username="ben", password=PASSWORD)
    assert isinstance(answer, Unavailable)
    assert second < first


def test_several_that_hang_are_waited_for_together(make_directory, slapd):
    with bad_ldap.serving(bad_ldap.silent) as port, bad_ldap.serving(bad_ldap.silent) as other:
        make_directory("One", servers=[f"ldap://127.0.0.1:{port}"])
        make_directory("Two", servers=[f"ldap://127.0.0.1:{other}"])
        answer, seconds = took(authenticate, username="ann", password=PASSWORD)
    assert isinstance(answer, Unavailable)
    assert seconds < MOST_SECONDS


def test_a_broken_directory_before_the_local_one_keeps_no_local_admin_out(short, make_directory, world):
    with bad_ldap.serving(bad_ldap.silent) as port:
        broken = make_directory(servers=[f"ldap://127.0.0.1:{port}"])
        Directory.objects.filter(pk=broken.pk).update(order=1)
        user, seconds = took(authenticate, username="root", password=LOCAL_PASSWORD)
    assert user == world.root
    assert seconds < MOST_SECONDS


@pytest.mark.parametrize(
    "config",
    [{}, {"servers": "x"}, {"flavour": "netware"}, {"servers": ["ldap://127.0.0.1:1"], "user_base": "no dn"}],
)
def test_a_config_that_cannot_be_right_keeps_no_local_admin_out(world, config):
    Directory.objects.create(name="Odd", kind="ldap", config=config, order=1)
    assert authenticate(username="root", password=LOCAL_PASSWORD) == world.root
    with pytest.raises(Unavailable):
        authenticate(username="root", password="a wrong password")


def test_the_page_says_that_the_directory_is_down_not_that_the_password_is_wrong(make_directory, client):
    make_directory(servers=["ldap://127.0.0.1:1"])
    answer = client.post("/sign-in", {"username": "ann", "password": PASSWORD}, follow=True)
    assert answer.status_code == 503
    assert b"directory" in answer.content


def test_a_directory_that_is_down_ends_no_session(make_directory, slapd, client):
    slapd.person("ann")
    directory = make_directory()
    user = authenticate(username="ann", password=PASSWORD)
    client.force_login(user)
    Directory.objects.filter(pk=directory.pk).update(config=slapd.config(servers=["ldap://127.0.0.1:1"]))
    from broker.directories.reconcile import follow_all

    follow_all()
    assert client.get("/", follow=True).status_code == 200
    assert User.objects.get(pk=user.pk).is_active


@pytest.mark.parametrize(
    "changes, word",
    [
        ({"bind_dn": "cn=nobody,dc=example,dc=org"}, "password"),
        ({"user_base": "ou=nowhere,dc=example,dc=org"}, "asked"),
    ],
)
def test_a_mistake_in_the_settings_is_not_called_a_wrong_password(make_directory, slapd, changes, word):
    slapd.person("ann")
    make_directory(**changes)
    with pytest.raises(Unavailable) as error:
        authenticate(username="ann", password=PASSWORD)
    assert word in error.value.message


def test_what_failed_is_forgotten_when_asked_to():
    line._failed["ldap://x"] = 1.0
    line.forget()
    assert line._failed == {}
