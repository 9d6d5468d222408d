"""Directories as rows: who may, what is checked, what is kept secret, what a preview tells."""

import pytest

from broker.core.errors import Conflict, Denied, Invalid
from broker.directories.actions.create_directory import create_directory
from broker.directories.actions.delete_directory import delete_directory
from broker.directories.actions.disable_user import disable_user
from broker.directories.actions.edit_directory import edit_directory
from broker.directories.actions.enable_user import enable_user
from broker.directories.actions.sync_directory import sync_directory
from broker.directories.kinds.ldap.config import parse
from broker.directories.kinds.ldap.preview import preview, preview_of
from broker.directories.kinds.ldap.sync import follow
from broker.directories.models import Directory, User
from broker.directories.secret import opened
from broker.events.models import Event
from tests.servers.slapd import READER_PASSWORD


@pytest.fixture
def root(world):
    return world.actor("root")


def test_others_may_not(world, slapd):
    world.grant(world.bob, "user-admin")
    row = Directory.objects.create(name="Site", kind="ldap", config=parse(slapd.config()).as_dict())
    for name in ("charlie", "bob"):
        actor = world.actor(name)
        with pytest.raises(Denied):
            create_directory(actor=actor, name="x", kind="ldap", config=slapd.config())
        with pytest.raises(Denied):
            edit_directory(actor=actor, directory=row, order=1)
        with pytest.raises(Denied):
            delete_directory(actor=actor, directory=row)
        with pytest.raises(Denied):
            sync_directory(actor=actor, directory=row)
    assert not Event.objects.exists()


def test_a_directory_comes_changes_and_goes(slapd, root):
    slapd.person("erin")
    row = create_directory(actor=root, name="Site", kind="ldap", config=slapd.config(), password=READER_PASSWORD)
    assert READER_PASSWORD not in row.secret and opened(row) == READER_PASSWORD
    follow(row)
    assert User.objects.get(username="erin").directory == row
    edit_directory(actor=root, directory=row, name="Site A", order=5, enabled=False)
    row.refresh_from_db()
    assert (row.name, row.order, row.enabled) == ("Site A", 5, False)
    with pytest.raises(Conflict):
        sync_directory(actor=root, directory=row)
    delete_directory(actor=root, directory=row)
    assert not User.objects.filter(username="erin").exists()
    kinds = set(Event.objects.values_list("kind", flat=True))
    assert {"directory.created", "directory.changed", "directory.deleted"} <= kinds
    assert READER_PASSWORD not in repr(list(Event.objects.values()))


def test_the_password_is_not_carried_to_other_servers(slapd, root):
    row = create_directory(actor=root, name="Site", kind="ldap", config=slapd.config(), password=READER_PASSWORD)
    for changes in ({"servers": ["ldaps://evil.example.org"]}, {"ca": ""}, {"start_tls": False}):
        with pytest.raises(Invalid) as refusal:
            edit_directory(actor=root, directory=row, config=slapd.config(**changes))
        assert refusal.value.field == "password"
    edit_directory(actor=root, directory=row, config=slapd.config(nested=False))
    row.refresh_from_db()
    assert opened(row) == READER_PASSWORD
    elsewhere = slapd.config(servers=["ldaps://other.example.org"])
    edit_directory(actor=root, directory=row, config=elsewhere, password="another")
    row.refresh_from_db()
    assert opened(row) == "another"


@pytest.mark.parametrize(
    "changes, field",
    [
        ({"servers": []}, "servers"),
        ({"servers": ["http://x"]}, "servers"),
        ({"servers": ["ldap://user:pw@x"]}, "servers"),
        ({"servers": ["ldap://x ldap://y,z"]}, "servers"),
        ({"servers": ["ldap://x:99999"]}, "servers"),
        ({"servers": 5}, "servers"),
        ({"user_base": ""}, "user_base"),
        ({"user_base": "not a dn"}, "user_base"),
        ({"bind_dn": "x\0"}, "bind_dn"),
        ({"user_filter": "(uid=*"}, "user_filter"),
        ({"group_filter": "objectClass=x"}, "group_filter"),
        ({"id_attribute": "a b"}, "id_attribute"),
        ({"login_attributes": ["uid)(x"]}, "login_attributes"),
        ({"group_member": "memberOf"}, "group_member"),
        ({"flavour": "novell"}, "flavour"),
        ({"ca": "no certificate"}, "ca"),
        ({"nested": "yes"}, "nested"),
        ({"full_sync_minutes": 0}, "full_sync_minutes"),
        ({"full_sync_minutes": True}, "full_sync_minutes"),
        ({"colour": "red"}, "config"),
    ],
)
def test_settings_that_cannot_be_right(slapd, root, changes, field):
    with pytest.raises(Invalid) as refusal:
        create_directory(actor=root, name="Site", kind="ldap", config=slapd.config(**changes))
    assert refusal.value.field == field


def test_names_kinds_and_places(slapd, root):
    create_directory(actor=root, name="Site", kind="ldap", config=slapd.config())
    with pytest.raises(Conflict):
        create_directory(actor=root, name="site", kind="ldap", config=slapd.config())
    for given in ({"name": " "}, {"kind": "nis"}, {"order": -1}, {"password": "x\0"}):
        with pytest.raises(Invalid):
            create_directory(**{"actor": root, "name": "B", "kind": "ldap", "config": slapd.config(), **given})
    with pytest.raises(Invalid):
        create_directory(actor=root, name="B", kind="local", password="x")


def test_a_directory_whose_people_have_machines_stays(slapd, root, world, make_directory):
    from broker.virt.models import VirtualMachine

    row = make_directory()
    slapd.person("erin")
    follow(row)
    VirtualMachine.objects.create(
        name="vm", cluster=world.cluster, owner=User.objects.get(username="erin"), vcpus=1, memory_mib=512
    )
    with pytest.raises(Conflict):
        delete_directory(actor=root, directory=row)
    with pytest.raises(Conflict):
        delete_directory(actor=root, directory=world.directory)
    assert User.objects.filter(username="erin").exists()


def test_who_the_directory_keeps_out_is_not_let_in_here(slapd, root, make_directory):
    dn = slapd.person("erin")
    slapd.person("ben")
    row = make_directory()
    follow(row)
    slapd.root.delete_s(dn)
    row.refresh_from_db()
    row.sync_asked = "full"
    follow(row)
    erin = User.objects.get(username="erin")
    assert not erin.is_active
    with pytest.raises(Conflict):
        enable_user(actor=root, user=erin)
    disable_user(actor=root, user=erin)
    erin.refresh_from_db()
    assert not erin.disabled_in_directory


def test_asking_for_a_sync_wakes_the_duty(slapd, root, directory, django_capture_on_commit_callbacks):
    sync_directory(actor=root, directory=directory, accept_removals=True)
    directory.refresh_from_db()
    assert directory.sync_asked == "accept"


class TestPreview:
    def test_it_shows_whom_it_finds_and_what_one_would_be_and_writes_nothing(self, slapd, world):
        erin = slapd.person("erin")
        slapd.group("team", slapd.group("devs", erin))
        users = User.objects.count()
        seen = preview(parse(slapd.config()), READER_PASSWORD, username="erin")
        assert seen.bound and seen.error is None and seen.server == slapd.tls_url
        assert [user.name for user in seen.users] == ["erin"] and seen.user_count == 1
        assert {group.name for group in seen.groups} == {"devs", "team"} and seen.group_count == 2
        assert seen.named.found and not seen.named.disabled
        assert [group.name for group in seen.named.groups] == ["devs", "team"]
        assert User.objects.count() == users

    def test_it_says_what_is_wrong(self, slapd, world):
        config = parse(slapd.config())
        assert "password" in preview(config, "wrong").error.message
        assert not preview(config, "").bound
        assert preview(parse(slapd.config(servers=["ldap://127.0.0.1:1"])), READER_PASSWORD).error is not None
        assert "certificate" in preview(parse(slapd.config(ca="")), READER_PASSWORD).error.message
        missing = preview(parse(slapd.config(group_base="ou=none,dc=example,dc=org")), READER_PASSWORD)
        assert missing.bound and missing.error is not None

    def test_it_finds_nobody_it_should_not(self, slapd, world):
        slapd.person("erin")
        for name in ("*", "nobody", "erin)(uid=*"):
            assert not preview(parse(slapd.config()), READER_PASSWORD, username=name).named.found

    def test_it_warns_of_what_crosses_the_network_in_clear(self, slapd, world):
        plain = slapd.config(servers=[slapd.url], start_tls=False)
        assert preview(parse(plain), READER_PASSWORD).warnings == ("plain",)

    def test_of_a_saved_row_and_of_one_that_cannot_be_right(self, slapd, directory):
        assert preview_of(directory).bound
        directory.config = {"servers": 5}
        assert preview_of(directory).error is not None
        directory.secret = "damaged"
        assert preview_of(directory).error is not None
