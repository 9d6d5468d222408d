"""Signing in at a real provider of OpenID Connect: who comes in, as whom, with which groups, and for how long."""

from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from broker.directories.actions.edit_directory import edit_directory
from broker.directories.kinds.oidc import provider as remembered
from broker.directories.models import Directory, Group, Membership, User
from broker.directories.secret import opened
from broker.events.models import Event
from tests.servers import provider as servers
from tests.world import PASSWORD

DOOR = "portal:sign-in"


def go(client: Client, directory: Directory, **query: str) -> str:
    """Where the button leads."""
    return client.get(reverse("portal:provider", args=[directory.pk]), query).url


def ours(address: str) -> str:
    """The path of an address of ours, as the client wants it."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def enter(provider, directory: Directory, name: str = "erin", client: Client | None = None, **query: str):
    """One whole sign-in: the browser, and the answer to its way back."""
    client = client or Client()
    return client, client.get(ours(provider.sign_in(go(client, directory, **query), name)))


def test_a_whole_sign_in(provider, make):
    directory = make()
    client = Client()
    page = client.get(reverse(DOOR), {"next": "/account/"}).content.decode()
    assert "Sign in with Corporate" in page
    address = go(client, directory, next="/account/")
    asked = parse_qs(urlsplit(address).query)
    assert address.startswith(f"{provider.issuer}/authorize?") and asked["code_challenge_method"] == ["S256"]
    assert asked["redirect_uri"][0].endswith(reverse("portal:provider-back", args=[directory.pk]))
    before = client.session.session_key
    done = client.get(ours(provider.sign_in(address, "erin")))
    assert done.url == "/account/" and client.get("/account/").status_code == 200
    assert client.session.session_key != before and "berth_device" in done.cookies
    erin = User.objects.get(username="erin")
    assert (erin.display_name, erin.email, erin.directory) == ("Erin", "erin@example.org", directory)
    assert not erin.has_usable_password()
    assert set(erin.directory_groups.values_list("name", flat=True)) == {"staff", "finance"}
    assert Event.objects.filter(kind="user.signed-in", actor=erin).count() == 1
    assert Client().login(username="erin", password=servers.PASSWORD) is False, "passwords are for the provider alone"


def test_keys_of_elliptic_curves_and_keys_that_change(provider, make):
    directory = make()
    enter(provider, directory)
    provider.key = servers.SigningKey("ES256")
    provider.published = [provider.key.public()]
    remembered._keys.update(
        {place: type(kept)(kept.all, kept.read_at - 11) for place, kept in remembered._keys.items()}
    )
    assert enter(provider, directory)[1].status_code == 302
    assert provider.asked.count("/jwks") == 2 and provider.asked.count("/.well-known/openid-configuration") == 1
    # Whoever shows tokens with unknown keys does not have Berth ask each time.
    provider.key = servers.SigningKey()
    assert enter(provider, directory)[1].status_code == 403
    assert enter(provider, directory)[1].status_code == 403
    assert provider.asked.count("/jwks") == 2


def test_who_is_renamed_is_the_same_and_another_of_the_name_is_not(provider, make, world):
    directory = make()
    enter(provider, directory)
    erin = User.objects.get(username="erin")
    provider.person("erika", "staff", sub="id of erin")
    client, _done = enter(provider, directory, "erika")
    erin.refresh_from_db()
    assert erin.username == "erika" and client.session[SESSION_KEY] == str(erin.pk)
    assert set(erin.directory_groups.values_list("name", flat=True)) == {"staff"}
    provider.person("erika", sub="somebody else")
    client, refused = enter(provider, directory, "erika")
    assert refused.status_code == 409 and SESSION_KEY not in client.session
    provider.person("root")
    client, refused = enter(provider, directory, "root")
    assert refused.status_code == 409 and SESSION_KEY not in client.session, "a local user's name is not taken over"
    assert User.objects.get(username="root").directory.kind == "local"


def test_the_same_subject_of_another_issuer_is_another_person(provider, make):
    directory = make()
    enter(provider, directory)
    with servers.running() as other:
        other.person("mallory", sub="id of erin")
        Directory.objects.filter(pk=directory.pk).update(config=other.config())
        directory.refresh_from_db()
        client, _done = enter(other, directory, "mallory")
    assert client.session[SESSION_KEY] == str(User.objects.get(username="mallory").pk)
    assert User.objects.filter(username="erin").exists()


def test_groups_give_what_they_were_given_and_by_hand_stays(provider, make, world):
    directory = make(groups_claim="realm_access.roles")
    provider.person("erin", realm_access={"roles": ["operators", "bad\u202ename", "operators"]})
    enter(provider, directory)
    erin = User.objects.get(username="erin")
    group = Group.objects.get(directory=directory, name="operators")
    assert Group.objects.filter(directory=directory).count() == 1
    world.grant(group, "admin")
    Membership.objects.create(group=world.staff, user=erin, by_hand=True)
    client, _done = enter(provider, directory)
    assert client.get("/manage/").status_code == 200
    provider.person("erin", realm_access={"roles": []})
    client, _done = enter(provider, directory)
    assert client.get("/manage/roles/").status_code in (302, 403, 404) or not erin.directory_groups.filter(pk=group.pk)
    assert list(erin.directory_groups.all()) == [world.staff]
    provider.person("erin", realm_access={"roles": "operators"})
    assert enter(provider, directory)[1].status_code == 403, "what is no list is not taken for an empty one"


def test_names_that_are_only_in_userinfo(provider, make):
    directory = make()
    provider.more.update(preferred_username=None, groups=None)
    _client, done = enter(provider, directory)
    assert done.status_code == 302 and "/userinfo" in provider.asked
    assert User.objects.get(username="erin").directory_groups.filter(name="finance").exists()
    provider.more["userinfo"] = {"sub": "somebody else"}
    assert enter(provider, directory)[1].status_code == 403


def test_a_sign_in_has_a_longest_age_and_who_is_disabled_stays_out(provider, make):
    directory = make(session_hours=2)
    client, _done = enter(provider, directory)
    row = Session.objects.get(session_key=client.session.session_key)
    assert timedelta(minutes=115) < row.expire_date - timezone.now() <= timedelta(hours=2)
    client.get("/account/")
    again = Session.objects.get(session_key=client.session.session_key)
    assert again.expire_date == row.expire_date, "it does not slide"
    Session.objects.filter(pk=row.pk).update(expire_date=timezone.now())
    assert client.get("/account/").status_code == 302
    del provider.people["erin"]
    client, refused = enter(provider, directory)
    text = refused.content.decode()
    assert refused.status_code == 403 and "did not let you in" in text and "alert(1)" not in text
    assert Event.objects.filter(kind="user.sign-in-refused", subject_id=directory.pk).count() == 1
    provider.person("erin")
    User.objects.filter(username="erin").update(is_active=False)
    client, refused = enter(provider, directory)
    assert refused.status_code == 403 and SESSION_KEY not in client.session


def test_berths_own_second_factor_is_demanded_as_usual(provider, make):
    directory = make()
    Directory.objects.filter(pk=directory.pk).update(second_factor=True)
    client, done = enter(provider, directory, next="/account/")
    assert done.url == reverse("portal:sign-in-set-up") and SESSION_KEY not in client.session
    assert client.get("/account/").status_code == 302
    Directory.objects.filter(pk=directory.pk).update(second_factor=False)
    client, done = enter(provider, directory)
    assert client.get(reverse("portal:second-factor")).status_code == 403, "no password shows who sits there"


def test_two_tabs_and_a_wanted_page_elsewhere(provider, make):
    directory = make()
    client = Client()
    first, second = go(client, directory, next="/account/"), go(client, directory, next="//evil.example/")
    assert client.get(ours(provider.sign_in(second, "erin"))).url == "/"
    assert client.get(ours(provider.sign_in(first, "erin"))).url == "/account/"


def test_the_secret_is_sealed_and_told_to_no_other_issuer(provider, make, world):
    directory = make()
    assert opened(directory) == servers.SECRET
    from broker.core.errors import Invalid

    with pytest.raises(Invalid) as refused:
        edit_directory(
            actor=world.actor("root"), directory=directory, config=provider.config(issuer="https://evil.example")
        )
    assert refused.value.field == "password"


def test_one_that_is_off_or_of_another_kind_has_no_button(provider, make, world):
    directory = make()
    Directory.objects.filter(pk=directory.pk).update(enabled=False)
    assert "Corporate" not in Client().get(reverse(DOOR)).content.decode()
    for pk in (directory.pk, world.directory.pk):
        for name in ("provider", "provider-back"):
            assert Client().get(reverse(f"portal:{name}", args=[pk])).status_code == 404


class TestTheForm:
    def typed(self, provider, **more) -> dict[str, str]:
        claims = {"username_claim": "preferred_username", "name_claim": "name", "mail_claim": "email"}
        return {
            "name": "Corporate", "order": "50", "enabled": "on", "issuer": provider.issuer, "private": "on",
            "client_id": servers.CLIENT, "password": servers.SECRET, "ca": provider.ca, "session_hours": "8",
            "scopes": "openid profile", "groups_claim": "groups", **claims, **more,
        }  # fmt: skip

    def test_it_shows_what_it_yields_before_it_is_saved(self, provider, world):
        root, form = Client(), reverse("portal:directory-new", args=["oidc"])
        root.force_login(world.root)
        assert "Client secret" in root.get(form).content.decode()
        shown = root.post(form, self.typed(provider, preview="1"), headers={"HX-Request": "true"}).content.decode()
        assert all(word in shown for word in (provider.issuer, "/authorize", "1 (RSA)")), shown
        assert not Directory.objects.filter(kind="oidc").exists() and servers.SECRET not in shown
        wrong = self.typed(provider, preview="1", issuer=provider.issuer + "/other")
        assert "cannot be used" in root.post(form, wrong, headers={"HX-Request": "true"}).content.decode()
        made = root.post(form, self.typed(provider))
        directory = Directory.objects.get(kind="oidc")
        assert made.status_code == 302 and opened(directory) == servers.SECRET
        page = root.get(made.url).content.decode()
        assert reverse("portal:provider-back", args=[directory.pk]) in page and servers.SECRET not in page
        assert servers.SECRET not in root.get(reverse("portal:directory-edit", args=[directory.pk])).content.decode()
        answer = root.post(
            "/api/v1/directories/preview/", {"kind": "oidc", "config": provider.config(), "password": servers.SECRET},
            content_type="application/json",
        ).json()  # fmt: skip
        assert answer["bound"] and answer["facts"][0]["value"] == provider.issuer

    @pytest.mark.parametrize(
        ("field", "value"),
        [("issuer", "http://login.example.org"), ("issuer", "https://a@b.example"), ("issuer", "https://x/?y"),
         ("issuer", "javascript:alert(1)"), ("scopes", "profile"), ("groups_claim", "a b"), ("ca", "-----BEGIN"),
         ("session_hours", "0"), ("session_hours", "13"), ("client_id", "")],
    )  # fmt: skip
    def test_mistakes_are_told_at_their_field(self, provider, world, field, value):
        root = Client()
        root.force_login(world.root)
        typed = self.typed(provider, **{field: value})
        answer = root.post(reverse("portal:directory-new", args=["oidc"]), typed)
        assert answer.status_code == 400 and f"id_{field}_error" in answer.content.decode()
        assert not Directory.objects.filter(kind="oidc").exists()


def test_local_people_sign_in_while_it_is_down(provider, make, world):
    make(issuer="https://127.0.0.1:1")
    world.alice.set_password(PASSWORD)
    world.alice.save()
    assert Client().post(reverse(DOOR), {"username": "alice", "password": PASSWORD}).status_code == 302
