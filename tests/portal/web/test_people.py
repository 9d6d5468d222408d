"""Users and groups on the pages: who sees them, what is shown of one, and what is done by hand."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from broker.connections.models import Session
from broker.directories.models import Directory, Group, Membership, User
from tests.world import PASSWORD


@pytest.fixture
def elsewhere(site):
    """A directory of another kind, with somebody in a group of it."""
    directory = Directory.objects.create(name="Example AD", kind="ldap", config={})
    user = User.objects.create(directory=directory, username="dora", display_name="Dora Doe", external_id="id-1")
    group = Group.objects.create(directory=directory, name="finance", external_id="id-2")
    Membership.objects.create(group=group, user=user, by_hand=False, from_directory=True)
    return user, group


def text_of(client, name: str, *args, **query) -> str:
    return client.get(reverse(f"portal:{name}", args=args), query).content.decode()


def test_the_list_is_searched_filtered_and_sorted(site, elsewhere):
    client, (dora, _group) = site.client("root"), elsewhere
    assert "dora" in text_of(client, "users", q="doe")
    assert "alice" not in text_of(client, "users", q="doe")
    only = text_of(client, "users", directory=str(dora.directory_id))
    assert "dora" in only
    assert "alice" not in only
    site.world.bob.is_active = False
    site.world.bob.save()
    disabled = text_of(client, "users", state="False")
    assert "bob" in disabled
    assert "dora" not in disabled
    assert "dora" in text_of(client, "users", order="-last_login", directory="nonsense", state="x", page="y")


def test_one_user_with_what_they_are_in_have_and_may_use(site, elsewhere):
    world, client = site.world, site.client("root")
    world.grant(world.staff, "pool-user", site.pool)
    Session.objects.create(user=world.bob, vm=site.granted, address="192.0.2.44", gateway="g")
    world.staff.members.add(elsewhere[0])
    bob, alice, dora = (text_of(client, "user", one.pk) for one in (world.bob, world.alice, elsewhere[0]))
    assert reverse("portal:group", args=[world.staff.pk]) in bob
    assert reverse("portal:pool", args=[site.pool.pk]) in bob
    assert "192.0.2.44" in bob
    assert reverse("portal:vm", args=[site.desktop.pk]) in alice
    assert "by the directory" in dora
    assert "by hand" in dora
    assert "id-1" in dora
    # What another directory keeps is not changed here.
    assert reverse("portal:user-edit", args=[elsewhere[0].pk]) not in dora
    assert reverse("portal:user-edit", args=[world.bob.pk]) in bob


def test_one_sees_oneself_and_nobody_else(site):
    world = site.world
    own = text_of(site.client("alice"), "user", world.alice.pk)
    assert "Alice" in own
    assert reverse("portal:user-deed", args=[world.alice.pk, "disable"]) not in own
    assert site.client("alice").get(reverse("portal:user", args=[world.bob.pk])).status_code == 404
    assert "bob" not in text_of(site.client("alice"), "users")


def test_an_auditor_looks_and_changes_nothing(site):
    site.world.grant(site.world.charlie, "auditor")
    client, bob = site.client("charlie"), site.world.bob
    assert reverse("portal:user-deed", args=[bob.pk, "disable"]) not in text_of(client, "user", bob.pk)
    assert client.post(reverse("portal:user-deed", args=[bob.pk, "disable"])).status_code == 403
    assert client.get(reverse("portal:user-edit", args=[bob.pk])).status_code == 403
    assert client.get(reverse("portal:user-new")).status_code == 403
    bob.refresh_from_db()
    assert bob.is_active


def test_a_local_user_is_made_changed_kept_out_and_let_in(site):
    client = site.client("root")
    made = client.post(
        reverse("portal:user-new"),
        {"username": "erin", "display_name": "Erin", "email": "", "password": "a long first password"},
    )
    erin = User.objects.get(username="erin")
    assert made.url == reverse("portal:user", args=[erin.pk])
    client.post(reverse("portal:user-edit", args=[erin.pk]), {"display_name": "Erin E.", "email": "e@example.org"})
    client.post(reverse("portal:user-deed", args=[erin.pk, "disable"]))
    erin.refresh_from_db()
    assert (erin.display_name, erin.email, erin.is_active) == ("Erin E.", "e@example.org", False)
    client.post(reverse("portal:user-deed", args=[erin.pk, "enable"]))
    client.post(reverse("portal:user-password", args=[erin.pk]), {"password": PASSWORD})
    erin.refresh_from_db()
    assert erin.is_active
    assert erin.check_password(PASSWORD)


def test_what_the_action_refuses_is_told_at_the_field_and_no_password_comes_back(site):
    client = site.client("root")
    answer = client.post(reverse("portal:user-new"), {"username": "a b", "password": "secret-but-long"})
    assert answer.status_code == 400
    assert "id_username_error" in answer.content.decode()
    assert "secret-but-long" not in answer.content.decode()
    short = client.post(reverse("portal:user-password", args=[site.world.bob.pk]), {"password": "short"})
    assert short.status_code == 400


def test_members_of_a_group_kept_by_hand_come_and_go(site, elsewhere):
    client, staff = site.client("root"), site.world.staff
    client.post(reverse("portal:group-add", args=[staff.pk]), {"name": "ALICE"})
    client.post(reverse("portal:group-add", args=[staff.pk]), {"name": "dora"})
    client.post(reverse("portal:group-remove", args=[staff.pk, site.world.bob.pk]))
    assert set(staff.members.values_list("username", flat=True)) == {"alice", "dora"}
    assert client.post(reverse("portal:group-add", args=[staff.pk]), {"name": "nobody"}).status_code == 400
    made = client.post(reverse("portal:group-new"), {"name": "guests"})
    guests = Group.objects.get(name="guests")
    assert made.url == reverse("portal:group", args=[guests.pk])
    client.post(reverse("portal:group-delete", args=[guests.pk]))
    assert not Group.objects.filter(name="guests").exists()


def test_who_the_directory_puts_into_a_group_is_not_taken_out_by_hand(site, elsewhere):
    client, (dora, finance) = site.client("root"), elsewhere
    client.post(reverse("portal:group-add", args=[finance.pk]), {"name": "alice"})
    page = text_of(client, "group", finance.pk)
    assert reverse("portal:group-remove", args=[finance.pk, site.world.alice.pk]) in page
    assert reverse("portal:group-remove", args=[finance.pk, dora.pk]) not in page
    for user in (dora, site.world.alice):
        client.post(reverse("portal:group-remove", args=[finance.pk, user.pk]))
    assert list(finance.members.all()) == [dora]
    assert client.post(reverse("portal:group-delete", args=[finance.pk])).status_code == 409


def test_a_stranger_finds_no_group(site):
    staff = site.world.staff
    for name in ("group-add", "group-delete"):
        assert site.client("charlie").post(reverse(f"portal:{name}", args=[staff.pk])).status_code == 404


def test_pages_cost_the_same_however_many_there_are(site):
    client, world = site.client("root"), site.world

    def cost(name: str, *args) -> int:
        client.get(reverse(f"portal:{name}", args=args))
        with CaptureQueriesContext(connection) as queries:
            assert client.get(reverse(f"portal:{name}", args=args)).status_code == 200
        return len(queries)

    pages = [("users",), ("groups",), ("user", world.bob.pk), ("group", world.staff.pk)]
    world.grant(world.bob, "pool-user", site.pool)
    site.seat("extra-0", 50, holder=world.bob)
    before = {page: cost(*page) for page in pages}
    for number in range(12):
        group = Group.objects.create(directory=world.directory, name=f"group-{number}")
        group.members.add(world.bob)
        world.grant(group, "vm-user", site.machine(f"vm-{number}"))
        site.seat(f"extra-{number + 1}", 60 + number, holder=world.bob)
        world.staff.members.add(User.objects.create(directory=world.directory, username=f"user-{number}"))
        Session.objects.create(user=world.bob, vm=site.granted, gateway="g")
    assert {page: cost(*page) for page in pages} == before
