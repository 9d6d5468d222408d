"""Signing in and out, and where one lands."""

from urllib.parse import urljoin, urlsplit

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.test import Client
from django.urls import reverse

from broker.events.models import Event
from pools.models import Desktop
from tests.world import PASSWORD

DOOR = "portal:sign-in"


def sign_in(site, name: str, password: str = PASSWORD, **more):
    person = getattr(site.world, name)
    person.set_password(PASSWORD)
    person.save()
    client = site.client("")
    return client, client.post(reverse(DOOR), {"username": name, "password": password, **more})


def test_a_wrong_password_is_told_without_saying_which_part_was_wrong(site):
    _client, wrong = sign_in(site, "alice", "no")
    assert wrong.status_code == 400 and 'role="alert"' in wrong.content.decode()
    unknown = site.client("").post(reverse(DOOR), {"username": "nobody", "password": "no"})
    assert unknown.status_code == 400


def test_a_disabled_user_stays_outside(site):
    site.world.alice.is_active = False
    site.world.alice.save()
    _client, response = sign_in(site, "alice")
    assert response.status_code == 400


def test_several_desktops_lead_to_the_list(site):
    _client, response = sign_in(site, "alice")
    assert response.status_code == 302 and response.url == "/"


def test_one_machine_leads_straight_to_its_screen(site):
    _client, response = sign_in(site, "bob")
    assert response.url == reverse("portal:console", args=[site.granted.pk])


def test_one_pool_leads_straight_to_a_desktop_of_it(site):
    site.world.grant(site.world.charlie, "pool-user", site.pool)
    _client, response = sign_in(site, "charlie")
    desktop = Desktop.objects.get(holder=site.world.charlie)
    assert desktop.pk == site.free.pk
    assert response.url == reverse("portal:console", args=[desktop.pk])


def test_who_holds_all_that_the_pool_allows_comes_back_to_it(site):
    site.world.grant(site.world.charlie, "pool-user", site.pool)
    type(site.pool).objects.filter(pk=site.pool.pk).update(max_per_user=1)
    _client, first = sign_in(site, "charlie")
    _client, again = sign_in(site, "charlie")
    assert again.url == first.url == reverse("portal:console", args=[site.free.pk])


def test_a_desktop_and_one_more_to_be_had_lead_to_the_list(site):
    site.world.grant(site.world.charlie, "pool-user", site.pool)
    sign_in(site, "charlie")
    _client, again = sign_in(site, "charlie")
    assert again.url == "/" and Desktop.objects.filter(holder=site.world.charlie).count() == 1


def test_a_desktop_that_is_being_made_leads_to_the_list(site):
    type(site.granted).objects.filter(pk=site.granted.pk).update(state="creating")
    _client, response = sign_in(site, "bob")
    assert response.url == "/"


def test_a_sign_in_gets_a_session_of_its_own_and_a_lost_one_is_not_written_again(site):
    client, _response = sign_in(site, "alice")
    store = client.session
    assert store.session_key and len(store.session_key) == 32 and store.exists(store.session_key)
    with pytest.raises(CreateError):
        type(store)(store.session_key).save(must_create=True)
    store.delete()
    with pytest.raises(UpdateError):
        store.save()


def test_one_pool_without_a_free_desktop_leads_to_the_list_which_says_why(site):
    site.world.grant(site.world.charlie, "pool-user", site.pool)
    Desktop.objects.filter(pk=site.free.pk).update(state="broken")
    client, response = sign_in(site, "charlie")
    assert response.url == "/"
    assert 'role="alert"' in client.get("/").content.decode()


def test_the_page_that_was_wanted_comes_first(site):
    wanted = reverse("portal:vm", args=[site.granted.pk])
    _client, response = sign_in(site, "bob", next=wanted)
    assert response.url == wanted


@pytest.mark.parametrize(
    "wanted",
    ["https://elsewhere.example/", "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
     "javascript:alert(1)", "data:text/html,x", "http:evil.example", "https:///evil.example", "/\t/evil.example",
     "//evil.example/%2F..", " //evil.example", "%2F%2Fevil.example"],
)  # fmt: skip
def test_a_foreign_address_is_not_followed(site, wanted):
    """S14."""
    _client, response = sign_in(site, "alice", next=wanted)
    place = urljoin("http://testserver/sign-in", response.url)
    assert urlsplit(place)[:2] == ("http", "testserver"), response.url


@pytest.mark.parametrize(
    "path", ["//evil.example/%2F..", "///evil.example", "/\\evil.example", "//evil.example/manage"]
)
def test_no_path_leads_off_site(site, path):
    """S14: with and without a sign-in, and with the slash that Django adds."""
    for client in (Client(), site.client("alice")):
        for target in (path, f"{path}/"):
            response = client.generic("GET", target)
            place = urljoin("http://testserver/", response.headers.get("Location", "/"))
            assert urlsplit(place)[:2] == ("http", "testserver"), response.headers


def test_administrators_get_the_list(site):
    _client, response = sign_in(site, "root")
    assert response.url == "/"


def test_signing_out_is_a_post_and_ends_the_session(site):
    client, _response = sign_in(site, "alice")
    assert client.get(reverse("portal:sign-out")).status_code == 405
    assert client.post(reverse("portal:sign-out")).status_code == 302
    assert client.get("/").status_code == 302


def test_a_directory_that_does_not_answer_is_told_from_a_wrong_password(site, monkeypatch):
    from broker.core.errors import Unavailable
    from broker.directories.backend import DirectoryBackend

    def down(self, request, **credentials):
        raise Unavailable("The directory does not answer.", fix="Try again in a minute.")

    monkeypatch.setattr(DirectoryBackend, "authenticate", down)
    _client, response = sign_in(site, "alice")
    text = response.content.decode()
    assert response.status_code == 503 and "does not answer" in text and "Try again in a minute." in text


def test_coming_going_and_being_refused_are_recorded(site):
    client, _response = sign_in(site, "alice")
    client.post(reverse("portal:sign-out"))
    sign_in(site, "bob", "wrong")
    kinds = list(Event.objects.filter(kind__startswith="user.sign").order_by("id").values_list("kind", "params__name"))
    assert kinds == [("user.signed-in", "alice"), ("user.signed-out", "alice"), ("user.sign-in-refused", "bob")]
    assert "wrong" not in str([event.__dict__ for event in Event.objects.all()])


def test_strange_credentials_are_refused(site):
    for name, password in (("a\0b", "x"), ("x" * 10_000, "x"), ("alice", "y" * 10_000), ("", "")):
        response = site.client("").post(reverse(DOOR), {"username": name, "password": password})
        assert response.status_code == 400
