"""A real Active Directory (Samba's domain controller): its own matching rule, its own ids, its own way to say no."""

import shutil
import time
from datetime import timedelta

import ldap
import pytest
from django.utils import timezone

from broker.celery import DUTIES
from broker.core.errors import Unavailable
from broker.directories.kinds.ldap import KIND, line
from broker.directories.kinds.ldap.config import parse
from broker.directories.kinds.ldap.preview import preview
from broker.directories.kinds.ldap.sync import follow
from broker.directories.models import Directory, Membership, User
from broker.directories.secret import sealed
from tests.servers import samba

pytestmark = [pytest.mark.lab, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def domain():
    if not shutil.which("samba-tool"):
        pytest.skip("Samba is not installed: deploy/install.sh test")
    with samba.running() as server:
        server.person("erin")
        server.person("ben")
        server.group("devs", "erin", "ben")
        server.group("team", "devs")
        yield server


@pytest.fixture
def directory(domain, world):
    line.forget()
    secret = sealed(samba.ADMIN_PASSWORD)
    return Directory.objects.create(name="AD", kind="ldap", config=parse(domain.config()).as_dict(), secret=secret)


def enter(directory, name, password=samba.PASSWORD):
    return KIND.authenticate(directory, name, password, seconds=30.0)


def groups(user):
    return set(user.directory_groups.values_list("name", flat=True))


def members(name):
    return set(Membership.objects.filter(group__name=name).values_list("user__username", flat=True))


def look(directory):
    directory.refresh_from_db()
    return follow(directory)


def test_both_names_are_one_person_in_nested_groups_and_the_primary_one(directory):
    users = {enter(directory, name) for name in ("erin", "ERIN", "erin@ad.example.test")}
    assert len(users) == 1
    (user,) = users
    assert len(user.external_id) == 36
    assert {"devs", "team", "Domain Users"} <= groups(user)
    for password in ("wrong", "", " "):
        assert enter(directory, "erin", password) is None
    for name in ("*", "erin)(objectClass=*", "nobody"):
        assert enter(directory, name) is None


def test_the_sync_says_the_same_as_the_sign_in_and_sees_who_leaves_a_group(domain, directory):
    look(directory)
    assert {"erin", "ben"} <= members("devs") & members("team") & members("Domain Users")
    assert groups(User.objects.get(username="ben")) == groups(enter(directory, "ben"))
    assert look(directory).rows == 0
    domain.tool("group", "removemembers", "devs", "ben")
    try:
        assert look(directory).left == 2
        assert "ben" not in members("team")
    finally:
        domain.tool("group", "addmembers", "devs", "ben")


def test_who_is_disabled_or_expired_is_out(domain, directory):
    look(directory)
    domain.tool("user", "disable", "erin")
    try:
        assert look(directory).disabled == 1
        assert enter(directory, "erin") is None
        assert not User.objects.get(username="erin").is_active
    finally:
        domain.tool("user", "enable", "erin")
    look(directory)
    assert enter(directory, "erin") is not None


def test_an_account_that_expires_is_out_and_back_when_it_is_prolonged(domain, directory):
    """accountExpires as the server keeps it: 100 ns since 1601."""
    look(directory)
    expires = (timezone.now() - timedelta(minutes=1)).timestamp()
    dn = f"CN=ben,CN=Users,{samba.BASE}"
    domain.change(dn, accountExpires=str(int((expires + 11_644_473_600) * 10_000_000)))
    try:
        assert look(directory).disabled == 1 and enter(directory, "ben") is None
        assert not User.objects.get(username="ben").is_active
    finally:
        domain.tool("user", "setexpiry", "ben", "--noexpiry")
    look(directory)
    assert enter(directory, "ben").is_active


def test_a_locked_account_enters_no_more_and_goes_on_where_it_is(domain, directory):
    """lockoutTime: a stranger's guesses lock the account in the domain; they end nobody's sign-in here."""
    user = enter(directory, "erin")
    domain.tool("domain", "passwordsettings", "set", "--account-lockout-threshold=3")
    try:
        for _guess in range(4):
            assert enter(directory, "erin", "wrong") is None
        locked = domain.read(f"CN=erin,CN=Users,{samba.BASE}", "lockoutTime")
        assert int(locked) > 0, "the domain has locked it"
        assert enter(directory, "erin") is None, "with the right password"
        look(directory)
        user.refresh_from_db()
        assert user.is_active
        domain.tool("user", "unlock", "erin")
        assert enter(directory, "erin") == user
    finally:
        domain.tool("domain", "passwordsettings", "set", "--account-lockout-threshold=0")


def test_who_is_disabled_amid_a_mass_removal_is_out_within_a_minute(domain, directory):
    """By the usual filter that leaves out disabled accounts; those who were removed wait to be accepted."""
    names = [f"temp{number}" for number in range(9)]
    for name in names:
        domain.person(name)
    hide = "(!(userAccountControl:1.2.840.113556.1.4.803:=2))"
    config = parse(domain.config(user_filter=f"(&(objectCategory=person)(objectClass=user){hide})"))
    directory.config = config.as_dict()
    directory.save()
    look(directory)
    User.objects.filter(directory=directory).update(last_login=timezone.now())
    domain.tool("user", "disable", "temp0")
    for name in names[1:]:
        domain.tool("user", "delete", name)
    began = time.monotonic()
    try:
        look(directory)
        took = time.monotonic() - began
        assert not User.objects.get(username="temp0").is_active
        # The duty looks every 15 s.
        assert took + DUTIES["directories.follow"][0] < 60
        assert User.objects.filter(username__in=names[1:], is_active=True).count() == len(names) - 1
        directory.refresh_from_db()
        assert directory.sync_held == len(names) - 1
    finally:
        domain.tool("user", "delete", "temp0")


def test_who_is_renamed_stays_and_who_is_made_anew_is_another(domain, directory):
    domain.person("carol")
    first = enter(directory, "carol")
    domain.tool("user", "rename", "carol", "--samaccountname=caroline")
    assert enter(directory, "caroline").pk == first.pk
    domain.tool("user", "delete", "caroline")
    domain.tool("user", "create", "caroline", samba.PASSWORD)
    try:
        assert enter(directory, "caroline").pk != first.pk
        assert not User.objects.get(pk=first.pk).is_active
    finally:
        domain.tool("user", "delete", "caroline")


def test_a_bind_in_clear_is_refused_by_it_and_said(domain, directory):
    plain = parse(domain.config(servers=["ldap://127.0.0.1"], start_tls=False))
    assert not preview(plain, samba.ADMIN_PASSWORD).bound
    assert preview(parse(domain.config(servers=["ldap://127.0.0.1"])), samba.ADMIN_PASSWORD).bound
    seen = preview(parse(domain.config()), samba.ADMIN_PASSWORD, username="erin@ad.example.test")
    assert seen.error is None and "team" in {group.name for group in seen.named.groups}
    with pytest.raises(Unavailable):
        line.dial(plain, samba.ADMIN_PASSWORD, seconds=10, patient=True)
    assert ldap.dn.is_dn(samba.BASE)
