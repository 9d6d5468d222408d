"""Users and groups: who may, what names and passwords are taken, what is written down."""

import pytest

from broker.core.errors import Conflict, Denied, Invalid, Missing
from broker.directories.actions.create_group import create_group
from broker.directories.actions.create_user import create_user
from broker.directories.actions.delete_group import delete_group
from broker.directories.actions.disable_user import disable_user
from broker.directories.actions.edit_user import edit_user
from broker.directories.actions.enable_user import enable_user
from broker.directories.actions.set_members import set_members
from broker.directories.actions.set_password import set_password
from broker.directories.models import Directory, Group, Membership, User
from broker.events.models import Event
from tests.world import PASSWORD

GOOD = "a longer one indeed"


def test_others_may_not(world):
    """Nobody but who manages users; an operator does not."""
    world.grant(world.bob, "operator")
    for name in ("charlie", "bob"):
        actor = world.actor(name)
        for deed in (
            lambda actor=actor: create_user(actor=actor, username="eve"),
            lambda actor=actor: create_group(actor=actor, name="evil"),
            lambda actor=actor: edit_user(actor=actor, user=world.alice, display_name="x"),
            lambda actor=actor: set_password(actor=actor, user=world.alice, password=GOOD),
            lambda actor=actor: disable_user(actor=actor, user=world.alice),
            lambda actor=actor: enable_user(actor=actor, user=world.alice),
            lambda actor=actor: set_members(actor=actor, group=world.staff, members=[world.charlie]),
            lambda actor=actor: delete_group(actor=actor, group=world.staff),
        ):
            with pytest.raises((Denied, Missing)):
                deed()
    assert not Event.objects.exists()


def test_a_user_is_made_changed_and_kept_out(world):
    root = world.actor("root")
    user = create_user(actor=root, username="erin", password=GOOD, display_name="Erin", email="erin@example.org")
    assert user.check_password(GOOD)
    edit_user(actor=root, user=user, display_name="E.")
    disable_user(actor=root, user=user)
    disable_user(actor=root, user=user)
    assert not User.objects.get(pk=user.pk).is_active
    enable_user(actor=root, user=user)
    assert User.objects.get(pk=user.pk).is_active
    kinds = list(Event.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["user.created", "user.changed", "user.disabled", "user.enabled"]


def test_without_a_password_nobody_signs_in(world, client):
    create_user(actor=world.actor("root"), username="erin")
    assert not client.login(username="erin", password="")


@pytest.mark.parametrize("name", ["", " ", "a b", "a\u200bb", "-a", "a" * 151, "a/b", "<x>", "a\n", "a\0"])
def test_names_that_cannot_be_used(world, name):
    with pytest.raises(Invalid):
        create_user(actor=world.actor("root"), username=name)


@pytest.mark.parametrize("name", ["alice", "ALICE", "ａlice"])
def test_a_name_that_looks_like_anothers_is_taken(world, name):
    with pytest.raises(Conflict):
        create_user(actor=world.actor("root"), username=name)


@pytest.mark.parametrize("password", ["tiny", "password123", "1234567890", "x" * 1025, "nul\0nul\0nul"])
def test_passwords_that_are_refused(world, password):
    with pytest.raises(Invalid) as refusal:
        set_password(actor=world.actor("root"), user=world.alice, password=password)
    assert password not in str(refusal.value)
    world.alice.refresh_from_db()
    assert world.alice.check_password(PASSWORD)


def test_everybody_may_set_their_own_password(world):
    set_password(actor=world.actor("alice"), user=world.alice, password=GOOD)
    assert User.objects.get(pk=world.alice.pk).check_password(GOOD)


def test_who_manages_users_does_not_thereby_become_an_administrator(world):
    from broker.access.models import Grant, Role

    helpdesk = Role.objects.create(name="helpdesk", title="x", verbs=["user.view", "user.manage", "group.view"])
    Grant.objects.create(user=world.alice, role=helpdesk)
    alice = world.actor("alice")
    set_password(actor=alice, user=world.charlie, password=GOOD)
    for deed in (
        lambda: set_password(actor=alice, user=world.root, password=GOOD),
        lambda: disable_user(actor=alice, user=world.root),
        lambda: edit_user(actor=alice, user=world.root, email="a@example.org"),
    ):
        with pytest.raises(Denied):
            deed()
    world.grant(world.staff, "admin")
    with pytest.raises(Denied):
        set_members(actor=alice, group=world.staff, members=[world.alice])
    with pytest.raises(Denied):
        delete_group(actor=alice, group=world.staff)


def test_users_of_another_directory_are_changed_there(world):
    elsewhere = Directory.objects.create(name="AD", kind="ldap")
    user = User.objects.create(directory=elsewhere, username="zoe")
    group = Group.objects.create(directory=elsewhere, name="AD staff")
    root = world.actor("root")
    for deed in (
        lambda: edit_user(actor=root, user=user, email="a@example.org"),
        lambda: set_password(actor=root, user=user, password=GOOD),
        lambda: create_user(actor=root, username="x", directory=elsewhere),
        lambda: delete_group(actor=root, group=group),
    ):
        with pytest.raises(Conflict):
            deed()
    disable_user(actor=root, user=user)


def test_what_is_set_by_hand_and_what_the_directory_says_are_kept_apart(world):
    elsewhere = Directory.objects.create(name="AD", kind="ldap")
    group = Group.objects.create(directory=elsewhere, name="AD staff", external_id="1")
    for user in (world.alice, world.bob):
        Membership.objects.create(group=group, user=user, by_hand=False, from_directory=True)
    root = world.actor("root")
    set_members(actor=root, group=group, members=[world.bob, world.charlie])
    assert _sources(group) == {"alice": (False, True), "bob": (True, True), "charlie": (True, False)}
    set_members(actor=root, group=group, members=[])
    assert _sources(group) == {"alice": (False, True), "bob": (False, True)}


def _sources(group):
    return {row.user.username: (row.by_hand, row.from_directory) for row in group.memberships.select_related("user")}


def test_a_group_comes_and_goes_with_its_grants(world):
    root = world.actor("root")
    group = create_group(actor=root, name="makers")
    with pytest.raises(Conflict):
        create_group(actor=root, name="makers")
    set_members(actor=root, group=group, members=[world.alice, world.charlie])
    set_members(actor=root, group=group, members=[world.alice])
    assert list(group.members.all()) == [world.alice]
    assert Event.objects.filter(kind="group.members").latest("id").params["removed"] == "charlie"
    held = world.grant(group, "operator")
    delete_group(actor=root, group=group)
    assert not type(held).objects.filter(pk=held.pk).exists()
