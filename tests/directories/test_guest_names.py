"""What people are called in guests: patterns, and names that are none."""

import pytest

from broker.core.errors import Conflict, Invalid
from broker.directories.actions.create_directory import create_directory
from broker.directories.actions.edit_directory import edit_directory
from broker.directories.guest_names import checked_pattern, is_name, name_in_guest
from broker.directories.models import Directory, User

HOSTILE = [
    "", "-h", "--help", "1000", "0", "root; reboot", "a b", "a\nb", "a'b", 'a"b', "$(id)", "`id`", "a\\b", "../x",
    "a/b", "alice@", "@corp", "a@b@c", "a:b", "álice", "alice\u202e", "a" * 65, "a@" + "b" * 64, "alice\n", ".alice",
    "a|b", "a*",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_name_is_none(name):
    assert not is_name(name)


@pytest.mark.parametrize("name", ["alice", "Alice.B", "_svc", "a-b_c.d", "alice@corp.example", "A1"])
def test_what_is_a_name_is_one(name):
    assert is_name(name)


@pytest.mark.parametrize(
    ("pattern", "username", "config", "called"),
    [
        ("{login}", "alice", {}, "alice"),
        ("{login}", "alice@corp.example", {}, "alice@corp.example"),
        ("{name}", "alice@corp.example", {}, "alice"),
        ("{name}@{realm}", "alice@corp.example", {}, "alice@corp.example"),
        ("{login}@{realm}", "alice", {"user_base": "ou=people, DC=Corp,dc=example"}, "alice@corp.example"),
        ("d-{login}", "alice", {}, "d-alice"),
        ("{name}@lab.example", "alice", {}, "alice@lab.example"),
    ],
)
def test_the_pattern_of_the_directory_makes_the_name(pattern, username, config, called):
    directory = Directory(name="d", kind="ldap", guest_name=checked_pattern(pattern), config=config)
    assert name_in_guest(User(username=username, directory=directory)) == called


@pytest.mark.parametrize(
    ("pattern", "username", "kind"),
    [
        ("{login}@{realm}", "alice", "local"),  # no domain is known
        ("{login}@{realm}", "alice@corp.example", "local"),
        ("{login}", "{realm}", "local"),  # what is filled in is not filled in again
        ("", "alice", "local"),
        ("{login}", "guest-1", "guest"),
        *[("{login}", name, "oidc") for name in HOSTILE],
    ],
)
def test_who_can_have_no_name_is_told_why(pattern, username, kind):
    with pytest.raises(Conflict) as info:
        name_in_guest(User(username=username, directory=Directory(name="d", kind=kind, guest_name=pattern)))
    assert info.value.rule == "guest.name" and info.value.fix


@pytest.mark.parametrize(
    "pattern",
    ["{user}", "alice", "{login} x", "{login};id", "{login.directory}", "{0}", "{login", "{realm}", "{login}" * 40],
)
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(Invalid) as info:
        checked_pattern(pattern)
    assert info.value.field == "guest_name"


@pytest.mark.django_db
def test_a_directory_has_its_own(world):
    root = world.actor("root")
    assert edit_directory(actor=root, directory=world.directory, guest_name="u-{name}").guest_name == "u-{name}"
    with pytest.raises(Invalid):
        edit_directory(actor=root, directory=world.directory, guest_name="$(id)")
    with pytest.raises(Invalid):
        create_directory(actor=root, name="other", kind="local", guest_name="{}")
    assert create_directory(actor=root, name="other", kind="local", guest_name="").guest_name == ""
