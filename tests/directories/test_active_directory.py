"""A real Active Directory (Samba's domain controller): its own matching rule, its own ids, its own way to say no."""

import shutil

import ldap
import pytest

from broker.core.errors import Unavailable
from broker.directories.kinds.ldap import KIND, line
from broker.directories.kinds.ldap.config import parse
from broker.directories.kinds.ldap.preview import preview
from broker.directories.kinds.ldap.secret import sealed
from broker.directories.kinds.ldap.sync import follow
from broker.directories.models import Directory, Membership, User
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
